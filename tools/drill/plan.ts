import { TRANSACTION_MOMENTS, type TransactionMoment } from './postgres-tap.ts'

/** When a fault is injected: at any time, or at a certain point of a response or a sink's transaction. */
export type Moment = 'under_load' | TransactionMoment | 'before_produce_answer' | 'before_http_answer'

/** Columns of the report. */
export const MOMENTS: readonly Moment[] = [
  'under_load',
  ...TRANSACTION_MOMENTS,
  'before_produce_answer',
  'before_http_answer',
]

const ANYWHERE = ['under_load', ...TRANSACTION_MOMENTS] as const

/** The kinds of faults, and for each the moments at which its effect differs. */
export const KINDS = {
  api_killed: ['under_load', 'before_produce_answer', 'before_http_answer'],
  api_ended: ['under_load', 'before_produce_answer', 'before_http_answer'],
  api_frozen_briefly: ['under_load', 'before_produce_answer'],
  api_frozen_long: ['under_load', 'before_produce_answer'],
  sink_killed: ANYWHERE,
  sink_ended: ANYWHERE,
  sink_frozen_briefly: ANYWHERE,
  sink_frozen_long: ANYWHERE,
  kafka_killed: ['under_load', 'before_commit', 'before_hint', 'before_produce_answer'],
  kafka_ended: ['under_load', 'before_commit', 'before_hint', 'before_produce_answer'],
  kafka_frozen_briefly: ['under_load', 'before_commit', 'before_hint', 'before_produce_answer'],
  kafka_frozen_long: ['under_load', 'before_commit', 'before_hint', 'before_produce_answer'],
  postgres_killed: ANYWHERE,
  postgres_ended: ANYWHERE,
  postgres_frozen_briefly: ANYWHERE,
  postgres_frozen_long: ANYWHERE,
  backend_terminated: ANYWHERE,
  table_locked: ['under_load', 'before_fence'],
  disk_full: ['under_load', 'before_fence', 'within_copy', 'before_commit'],
  connections_exhausted: ['under_load', 'before_commit'],
  sink_postgres_cut: ['under_load', 'before_fence', 'within_copy', 'before_commit', 'before_hint'],
  sink_postgres_half_open: ANYWHERE,
  sink_postgres_delayed: ['under_load'],
  sink_kafka_cut: ['under_load', 'before_commit', 'before_hint'],
  sink_kafka_half_open: ['under_load', 'before_hint'],
  sink_kafka_delayed: ['under_load'],
  api_kafka_cut: ['under_load'],
  api_kafka_half_open: ['under_load'],
  api_kafka_delayed: ['under_load'],
  client_api_cut: ['under_load'],
  client_api_half_open: ['under_load'],
  client_api_delayed: ['under_load'],
  response_lost: ['before_commit_answer', 'before_produce_answer', 'before_http_answer'],
  two_sinks: ['under_load', 'before_fence', 'within_copy', 'before_commit'],
  rolling_restart: ['under_load'],
  maintain_killed: ['under_load', 'within_copy', 'before_commit'],
  maintain_frozen: ['under_load', 'within_copy', 'before_commit'],
  key_rotated: ['under_load'],
} as const satisfies Record<string, readonly Moment[]>

export type Kind = keyof typeof KINDS

export interface Fault {
  /** Position in the seed's plan, from 0. */
  index: number
  kind: Kind
  moment: Moment
  /** Which of the two sinks, if it matters. */
  sink: 0 | 1
  /** Whether the data held at the moment arrive later or are lost. */
  arrives: boolean
}

/** Kinds with their moments, or the subset supported by a stage. */
export type Kinds = Partial<Record<Kind, readonly Moment[]>>

/** One deck: all combinations of kind and moment. */
export function deck(kinds: Kinds = KINDS): { kind: Kind; moment: Moment }[] {
  return (Object.keys(kinds) as Kind[]).flatMap((kind) =>
    (kinds[kind] ?? []).map((moment) => ({ kind, moment })),
  )
}

/**
 * The faults of a seed: a sequence of shuffled decks, so that all combinations are equally frequent. The same seed and
 * kinds give the same plan, whichever part of it is run.
 */
export function plan(seed: number, count: number, kinds: Kinds = KINDS): Fault[] {
  const random = seededRandom(seed)
  const faults: Fault[] = []
  while (faults.length < count) {
    for (const card of shuffle(deck(kinds), random)) {
      const index = faults.length
      faults.push({ index, ...card, sink: random() < 0.5 ? 0 : 1, arrives: random() < 0.5 })
    }
  }
  return faults.slice(0, count)
}

function shuffle<T>(items: T[], random: () => number): T[] {
  for (let last = items.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1))
    const [a, b] = [items[last] as T, items[other] as T]
    items[last] = b
    items[other] = a
  }
  return items
}

/** Pseudo-random numbers in [0, 1): SplitMix32 (the 32-bit variant of Steele, Lea and Flood 2014). */
export function seededRandom(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x9e3779b9) | 0
    let word = state ^ (state >>> 16)
    word = Math.imul(word, 0x21f0aaad)
    word ^= word >>> 15
    word = Math.imul(word, 0x735a2d97)
    return ((word ^ (word >>> 15)) >>> 0) / 2 ** 32
  }
}

import type { DeadReason } from '../event/record/decoded.ts'

/** What was decided about a dead letter so far: dead_letters.state. */
export type LetterState = 'open' | 'replayed' | 'discarded'

/** Where the record of a dead letter lies, within its topic: the key of dead_letters. */
export interface LetterKey {
  /** As dead_letters has it: of an earlier topic with " until <time>" behind (see sink-worker/positions/resolve.ts). */
  clusterId: string
  partition: number
  offset: bigint
}

/** A dead letter without what may hold personal data. */
export interface LetterHead extends LetterKey {
  eventId: string | null
  valueBytes: number
  reason: string
  sqlstate: string | null
  message: string
  createdAt: Date
  state: LetterState
}

/** The whole dead letter. */
export interface Letter extends LetterHead {
  /** Null when the record had none, or when it was kept only as `sha256`. */
  value: Buffer | null
  /** Of a value past 1 MiB, which is kept in Kafka alone. */
  sha256: Buffer | null
  /** Text, or `{"base64": ...}` where it is none. */
  headers: Record<string, unknown>
  /** Kafka's own time of the record, milliseconds since 1970; null when it was not kept. */
  timestampMs: number | null
}

/** Why a replay refused a letter: what the sink knows, and what can go wrong with values that only Kafka has. */
type RefusalReason = DeadReason | 'value_expired' | 'value_unavailable' | 'value_differs'

/** What became of one letter in a replay. */
export type ReplayOutcome =
  | {
      kind: 'stored' | 'already_stored'
      /** Of its row. */
      eventId: string
      /** What is not as the record says; null when all is. */
      note: string | null
    }
  | { kind: 'refused'; reason: RefusalReason; sqlstate: string | null; message: string }

/** A row of dead_letter_history. */
export interface HistoryEntry {
  at: Date
  by: string
  action: 'replay' | 'discard'
  outcome: ReplayOutcome['kind'] | 'discarded'
  eventId: string | null
  reason: string | null
  sqlstate: string | null
  message: string | null
}

/** `PARTITION:OFFSET`, as the commands take it. */
export function placeOf({ partition, offset }: { partition: number; offset: bigint }): string {
  return `${partition}:${offset}`
}

/** What a replay can do about letters of each reason, for the person who decides. */
export const PROSPECTS: Record<DeadReason, string> = {
  undecodable: 'no event to this version: most stay as they are',
  event_id_conflict: 'stay as they are while another event has their id (--new-id gives them a new one)',
  data_exception: 'stored, if the table takes them now',
  constraint: 'stored, if what refused them is gone',
  kept_out: 'stored, if what kept them out is gone',
}

import type { Action } from './maintenance.ts'
import type { RunResult } from './run.ts'

/** How a run ended: `problem` if it could not do something, `failed` if it ended early by an error. */
export const OUTCOMES = ['done', 'problem', 'busy', 'failed'] as const
export type Outcome = (typeof OUTCOMES)[number]

/** So many sentences of a run are kept. */
const MOST_SENTENCES = 100
/** A first run that goes on for this long has its connection. */
const CONNECTED_AFTER_MS = 10_000

/** The last run that ended without an error. */
export interface LastRun {
  endedMs: number
  durationMs: number
  outcome: Exclude<Outcome, 'failed'>
  sentences: string[]
  problems: string[]
  leaves: number
  ahead: number
  layout: RunResult['layout']
  refusesSinks: boolean
}

/** What the service has done since it started: /health, /readyz and /metrics read it. All times in ms since 1970. */
export class History {
  readonly #startedMs: number
  #beganMs: number | undefined
  #last: LastRun | undefined
  #lastSuccessMs: number | undefined
  /** The runs that failed since the last one that did not. */
  #failures = 0
  #reason: string | undefined
  #nextMs: number | undefined
  readonly #runs = new Map<Outcome, number>()
  readonly #counts = new Map<Action['kind'], number>()

  constructor(startedMs: number) {
    this.#startedMs = startedMs
  }

  began(nowMs: number): void {
    this.#beganMs = nowMs
  }

  /** Counts something that a run has just done, so that a run that is killed later has counted it. */
  did({ kind, count }: Action): void {
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + count)
  }

  ended({ outcome: end, actions, leaves, ahead, layout, refusesSinks }: RunResult, nowMs: number): void {
    const problems = actions.filter(({ kind }) => kind === 'problem').map(({ text }) => text)
    const outcome = end === 'done' && problems.length > 0 ? 'problem' : end
    this.#last = {
      endedMs: nowMs,
      durationMs: nowMs - (this.#beganMs ?? nowMs),
      outcome,
      sentences: shortened(actions.map(({ text }) => text)),
      problems: shortened(problems),
      leaves,
      ahead,
      layout,
      refusesSinks,
    }
    if (outcome === 'done') this.#lastSuccessMs = nowMs
    this.#failures = 0
    this.#reason = undefined
    this.#count(outcome)
  }

  /** @returns whether this is another reason than that of the run before */
  failed(reason: string): boolean {
    const isNew = reason !== this.#reason
    this.#failures += 1
    this.#reason = reason
    this.#count('failed')
    return isNew
  }

  /** @param nextMs when the next run begins */
  waits(nextMs: number): void {
    this.#beganMs = undefined
    this.#nextMs = nextMs
  }

  get failures(): number {
    return this.#failures
  }

  get last(): Readonly<LastRun> | undefined {
    return this.#last
  }

  get lastSuccessMs(): number | undefined {
    return this.#lastSuccessMs
  }

  runs(outcome: Outcome): number {
    return this.#runs.get(outcome) ?? 0
  }

  /** Leaves or rows since the start. */
  count(kind: Action['kind']): number {
    return this.#counts.get(kind) ?? 0
  }

  /** Whether PostgreSQL can be maintained, as far as the last run shows. */
  ready(nowMs: number): { ok: true } | { ok: false; reason: string } {
    if (this.#reason !== undefined) return { ok: false, reason: this.#reason }
    const isConnected = this.#last !== undefined || nowMs - this.#startedMs > CONNECTED_AFTER_MS
    return isConnected ? { ok: true } : { ok: false, reason: 'the first run has just begun' }
  }

  /** For /health. */
  status(nowMs: number): object {
    const last = this.#last
    return {
      state: this.#reason === undefined ? (this.#beganMs === undefined ? 'waiting' : 'running') : 'failing',
      reason: this.#reason ?? null,
      running_since: iso(this.#beganMs),
      next_run: this.#beganMs === undefined ? iso(this.#nextMs) : null,
      last_run:
        last === undefined
          ? null
          : {
              ended: iso(last.endedMs),
              seconds: last.durationMs / 1_000,
              outcome: last.outcome,
              actions: last.sentences,
              problems: last.problems,
            },
      last_success: iso(this.#lastSuccessMs),
      layout: last?.layout ?? null,
      partitions: last?.leaves ?? null,
      partitions_ahead: last?.ahead ?? null,
      uptime: Math.floor((nowMs - this.#startedMs) / 1_000),
    }
  }

  #count(outcome: Outcome): void {
    this.#runs.set(outcome, this.runs(outcome) + 1)
  }
}

function shortened(sentences: string[]): string[] {
  if (sentences.length <= MOST_SENTENCES) return sentences
  const more = sentences.length - MOST_SENTENCES
  return [...sentences.slice(0, MOST_SENTENCES), `... and ${more} more.`]
}

function iso(ms: number | undefined): string | null {
  return ms === undefined ? null : new Date(ms).toISOString()
}

import type { Screen } from '../platform/screen.ts'
import type { VerifyProgress } from '../tools/verify/verify.ts'

/** The time between two lines if there is no terminal. */
const LINE_MS = 5_000
/** A rate over a shorter time is meaningless. */
const RATE_AFTER_MS = 1_000

/** Shows the progress of a comparison: one live line on a terminal, otherwise a line every few seconds. */
export class ProgressDisplay {
  readonly #screen: Screen
  readonly #startedMs = performance.now()
  /** When the first record was read; the file of acknowledged events is read before that. */
  #recordsFromMs: number | undefined
  #lastLineMs = this.#startedMs

  constructor(screen: Screen) {
    this.#screen = screen
  }

  show(progress: VerifyProgress): void {
    const nowMs = performance.now()
    if (progress.records_total > 0) this.#recordsFromMs ??= nowMs
    const line = progressLine(progress, nowMs - (this.#recordsFromMs ?? this.#startedMs))
    if (this.#screen.isTerminal) this.#screen.live(line)
    else if (nowMs - this.#lastLineMs >= LINE_MS) {
      this.#screen.say(line)
      this.#lastLineMs = nowMs
    }
  }
}

/**
 * The progress, the rate and the time left, in one line.
 *
 * @param elapsedMs how long the current phase (acknowledged events or records) has taken so far
 */
export function progressLine({ records, records_total, acked }: VerifyProgress, elapsedMs: number): string {
  const perSecond = (done: number) =>
    elapsedMs < RATE_AFTER_MS ? '' : `, ${grouped(Math.round((done * 1000) / elapsedMs))}/s`
  if (records_total === 0) return `${grouped(acked)} acknowledged events looked up${perSecond(acked)}`
  const percent = Math.floor((100 * records) / records_total)
  const left =
    elapsedMs < RATE_AFTER_MS || records === 0
      ? ''
      : `, ${duration(((records_total - records) * elapsedMs) / records)} left`
  return `${percent}%  ${grouped(records)} of ${grouped(records_total)} records${perSecond(records)}${left}`
}

function grouped(count: number): string {
  return count.toLocaleString('en-US')
}

function duration(ms: number): string {
  const seconds = Math.ceil(ms / 1000)
  if (seconds < 120) return `${seconds} s`
  const minutes = Math.ceil(seconds / 60)
  return minutes < 120 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

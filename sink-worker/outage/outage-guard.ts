import { backoffMs } from '../../platform/backoff.ts'
import type { Logger } from '../../platform/log.ts'
import { exitOnBug } from '../../platform/shutdown.ts'
import { sleep } from '../../platform/sleep.ts'
import type { SinkCounters } from '../metrics.ts'
import { afterFailure, afterProbe, type Breaker, PROBE, RUNNING } from './outage.ts'
import { classifyError, describeError, sqlstateOf } from './sqlstate.ts'

/** How often an outage is logged again while it lasts. */
const REMIND_MS = 30_000

/** Owns the breaker: opens and closes it, logs both, and waits between attempts. */
export class OutageGuard {
  readonly #logger: Logger
  readonly #counters: SinkCounters
  readonly #stopSignal: AbortSignal
  #breaker: Breaker = RUNNING
  #remindedMs = 0

  constructor(logger: Logger, counters: SinkCounters, stopSignal: AbortSignal) {
    this.#logger = logger
    this.#counters = counters
    this.#stopSignal = stopSignal
  }

  get breaker(): Breaker {
    return this.#breaker
  }

  /** Records a failure of PostgreSQL or Kafka. A mistake in the sink is none: it ends the process. */
  open(error: unknown): void {
    if (this.#stopSignal.aborted) return
    const kind = classifyError(error)
    if (kind === 'bug') exitOnBug(error, this.#logger)
    const reason = describeError(error)
    const isNew = this.#breaker.kind === 'running'
    if (isNew) this.#counters.pauses += 1
    const needsPerson = kind === 'halt'
    this.#breaker = afterFailure(this.#breaker, { reason, needsPerson }, Date.now())
    if (!isNew && Date.now() - this.#remindedMs < REMIND_MS) return
    this.#remindedMs = Date.now()
    this.#logger.error(
      { reason, needs_person: needsPerson, sqlstate: sqlstateOf(error) },
      isNew ? 'paused' : 'still paused',
    )
  }

  /** The positions could be read again. The outage is over only after the first commit: see close(). */
  probe(): void {
    this.#breaker = afterProbe(this.#breaker)
  }

  close(): void {
    if (this.#breaker.kind === 'running') return
    this.#logger.info({ paused_ms: Date.now() - this.#breaker.sinceMs }, 'running again')
    this.#breaker = RUNNING
  }

  /** Repeats the work until it succeeds or the sink stops, with growing delays while the breaker is open. */
  async untilItWorks(work: () => Promise<void>): Promise<void> {
    while (!this.#stopSignal.aborted) {
      if (this.#breaker.kind === 'paused') {
        await sleep(backoffMs(PROBE, this.#breaker.attempts), this.#stopSignal)
      }
      try {
        await work()
        return
      } catch (error) {
        this.open(error)
      }
    }
  }
}

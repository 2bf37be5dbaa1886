import { type Backoff, backoffMs } from '../../platform/backoff.ts'
import type { Logger } from '../../platform/log.ts'
import { exitOnBug } from '../../platform/shutdown.ts'
import { sleep } from '../../platform/sleep.ts'
import type { SinkCounters } from '../metrics.ts'
import { classifyError, describeError, sqlstateOf } from './sqlstate.ts'
import { afterFailure, type Happening, type Outage, type StateKind, TRANSITIONS } from './transitions.ts'

/** The delays between probes of PostgreSQL and Kafka. */
const PROBE: Backoff = { firstMs: 100, lastMs: 5_000 }
/** How often an outage is logged again while it lasts. */
const REMIND_MS = 30_000

export interface SinkStateDependencies {
  logger: Logger
  counters: SinkCounters
  /** Aborts when the sink stops: failures are then no outage. */
  stopSignal: AbortSignal
  /** Whether a partition waits for a person. */
  hasStopped: () => boolean
}

/** Owns the state of the sink and the outage that lasts, logs both, and waits between probes. */
export class SinkState {
  readonly #deps: SinkStateDependencies
  #kind: StateKind = 'starting'
  #outage: Outage | undefined
  #remindedMs = 0

  constructor(deps: SinkStateDependencies) {
    this.#deps = deps
  }

  get kind(): StateKind {
    return this.#kind
  }

  /** Defined while `paused` or `probing`. */
  get outage(): Outage | undefined {
    return this.#outage
  }

  /** Anything but a failure. */
  on(happening: Exclude<Happening, 'failed'>): void {
    this.#move(happening)
    if (this.#outage === undefined || this.#kind === 'paused' || this.#kind === 'probing') return
    this.#deps.logger.info({ paused_ms: Date.now() - this.#outage.sinceMs }, 'running again')
    this.#outage = undefined
  }

  /** PostgreSQL or Kafka failed. A mistake in the sink is no outage: it ends the process. */
  onFailure(error: unknown): void {
    const { logger, counters, stopSignal } = this.#deps
    if (stopSignal.aborted) return
    const kind = classifyError(error)
    if (kind === 'bug') exitOnBug(error, logger)
    const isNew = this.#outage === undefined
    if (isNew) counters.pauses += 1
    const [reason, needsPerson] = [describeError(error), kind === 'halt']
    this.#outage = afterFailure(this.#outage, { reason, needsPerson }, Date.now())
    this.#move('failed')
    if (!isNew && Date.now() - this.#remindedMs < REMIND_MS) return
    this.#remindedMs = Date.now()
    const facts = { reason, needs_person: needsPerson, sqlstate: sqlstateOf(error) }
    logger.error(facts, isNew ? 'paused' : 'still paused')
  }

  /** Repeats the work until it succeeds or the sink stops, with growing delays while the sink is paused. */
  async untilItWorks(work: () => Promise<void>): Promise<void> {
    const { stopSignal } = this.#deps
    while (!stopSignal.aborted) {
      if (this.#kind === 'paused') await sleep(backoffMs(PROBE, this.#outage?.attempts ?? 0), stopSignal)
      try {
        await work()
        return
      } catch (error) {
        this.onFailure(error)
      }
    }
  }

  #move(happening: Happening): void {
    const next = TRANSITIONS[this.#kind][happening]
    this.#kind = next === 'running' && this.#deps.hasStopped() ? 'stopped' : next
  }
}

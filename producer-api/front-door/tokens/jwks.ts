import { backoffMs } from '../../../platform/backoff.ts'
import type { Logger } from '../../../platform/log.ts'
import { instant } from '../../../platform/units.ts'
import type { JwksSource } from './jwks-source.ts'
import { type KeySet, parseKeySet } from './key-set.ts'
import type { WallClock } from './wall-clock.ts'

const ANSWER_LIMIT_MS = 5_000
/** Keys that were read longer ago are not used: the issuer may have withdrawn them. */
const MAX_AGE_MS = 24 * 3_600_000
/** How often, at most, a token with an unknown key makes us read the set before its time. */
const ASK_INTERVAL_MS = 30_000

/**
 * The keys of the issuer: reads them in the background, again and again, and keeps the last good ones. At most one read
 * runs at a time; no request waits for one, except a token whose key is not known (ask()).
 */
export class Jwks {
  readonly #source: JwksSource
  readonly #algorithms: readonly string[]
  readonly #logger: Logger
  readonly #clock: WallClock
  readonly #onChange: () => void
  #keys: KeySet | undefined
  /** What #keys was made of. */
  #text: string | undefined
  /** When the set was last read without a problem. */
  #readAtMs: number | undefined
  #problem: string | undefined
  #reads = 0
  /** Since the last success. */
  #failures = 0
  #askedAtMs = Number.NEGATIVE_INFINITY
  #nextAtMs = Number.NEGATIVE_INFINITY
  #reading: Promise<void> | undefined
  /** Ends the read that runs. */
  #abort = new AbortController()
  #isClosed = false
  #cancelNext: () => void = () => {}

  /** @param onChange called when the keys are not the same any more */
  constructor(
    source: JwksSource,
    algorithms: readonly string[],
    logger: Logger,
    clock: WallClock,
    onChange: () => void,
  ) {
    this.#source = source
    this.#algorithms = algorithms
    this.#logger = logger
    this.#clock = clock
    this.#onChange = onChange
  }

  /** Starts to read; there are no keys until the first success. */
  start(): void {
    void this.#read()
  }

  close(): void {
    this.#isClosed = true
    this.#cancelNext()
    this.#abort.abort()
  }

  /** The last good keys, the same object as long as they are the same; undefined if there are none that may be used now. */
  usable(nowMs: number): KeySet | undefined {
    return this.#readAtMs !== undefined && nowMs - this.#readAtMs <= MAX_AGE_MS ? this.#keys : undefined
  }

  /**
   * Reads the set for a token whose key is not in it; many that ask at the same time share one read.
   *
   * @returns resolves when it was read, or could not be; undefined if another one has asked less than 30 s ago
   */
  ask(nowMs: number): Promise<void> | undefined {
    if (this.#reading !== undefined) return this.#reading
    const sinceMs = nowMs - this.#askedAtMs
    // Negative if the clock was set back.
    if (sinceMs >= 0 && sinceMs < ASK_INTERVAL_MS) return undefined
    this.#askedAtMs = nowMs
    return this.#read()
  }

  /** Why the last read failed, in one sentence; undefined if it did not. */
  get problem(): string | undefined {
    return this.#problem
  }

  get status(): {
    keys: number
    fetchedAtMs: number | undefined
    problem: string | undefined
    fetches: number
  } {
    const keys = this.usable(this.#clock.now())?.size ?? 0
    return { keys, fetchedAtMs: this.#readAtMs, problem: this.#problem, fetches: this.#reads }
  }

  /** Reads now if the next read is overdue: timers stand still while a machine sleeps, and the keys grow too old. */
  catchUp(nowMs: number): void {
    const isOverdue = this.#readAtMs !== undefined && nowMs >= this.#nextAtMs
    if (isOverdue && this.#reading === undefined && !this.#isClosed) void this.#read()
  }

  /** In how many seconds, at least 1, the next read may have succeeded. */
  retryAfterSeconds(nowMs: number): number {
    // No longer than we wait ourselves, even if the clock was set back.
    const ms = Math.min(this.#nextAtMs - nowMs, this.#source.retry.lastMs)
    return Math.max(1, Math.ceil(ms / 1_000))
  }

  #read(): Promise<void> {
    this.#cancelNext()
    this.#reading ??= this.#readOnce().then((delayMs) => {
      this.#reading = undefined
      if (this.#isClosed) return
      this.#nextAtMs = this.#clock.now() + delayMs
      this.#cancelNext = this.#clock.after(delayMs, () => void this.#read())
    })
    return this.#reading
  }

  /** Never rejects. @returns how long to wait until the next read, in milliseconds */
  async #readOnce(): Promise<number> {
    this.#reads += 1
    const abort = new AbortController()
    this.#abort = abort
    const cancelLimit = this.#clock.after(ANSWER_LIMIT_MS, () =>
      abort.abort(new Error(`did not answer within ${ANSWER_LIMIT_MS / 1_000} s`)),
    )
    try {
      const { text, freshMs } = await this.#source.read(abort.signal)
      if (text !== this.#text) this.#take(parseKeySet(text, this.#algorithms))
      this.#text = text
      this.#succeeded()
      return backoffMs({ firstMs: freshMs, lastMs: freshMs }, 0)
    } catch (error) {
      if (!this.#isClosed) this.#failed((error as Error).message)
      return backoffMs(this.#source.retry, this.#failures++)
    } finally {
      cancelLimit()
    }
  }

  #take(keys: KeySet): void {
    if (keys.content === this.#keys?.content) return
    const isFirst = this.#keys === undefined
    this.#keys = keys
    this.#logger.info(
      { jwks: this.#source.shown, keys: keys.size },
      `keys for tokens ${isFirst ? 'read' : 'changed'}`,
    )
    if (keys.ignored.length > 0)
      this.#logger.warn(
        { jwks: this.#source.shown, ignored: keys.ignored },
        'keys for tokens ignored: a JWKS must have public keys only, which can be read',
      )
    this.#onChange()
  }

  #succeeded(): void {
    if (this.#problem !== undefined)
      this.#logger.info({ jwks: this.#source.shown }, 'the JWKS can be read again')
    this.#problem = undefined
    this.#failures = 0
    this.#readAtMs = this.#clock.now()
  }

  /** Logs a problem once, not with each attempt. */
  #failed(reason: string): void {
    const { shown, setting } = this.#source
    const problem = `the JWKS ${shown} ${reason}: check ${setting}. ${this.#consequence()}`
    if (problem === this.#problem) return
    this.#problem = problem
    this.#logger.error(problem)
  }

  #consequence(): string {
    if (this.#readAtMs === undefined) return 'Until it can be read, requests with a token get 503'
    if (this.usable(this.#clock.now()) === undefined)
      return 'Its keys were read more than 24 h ago, so requests with a token get 503'
    return `The keys that it had are used until ${instant(this.#readAtMs + MAX_AGE_MS)}`
  }
}

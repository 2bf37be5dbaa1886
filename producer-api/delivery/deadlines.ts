import type { Entry } from './batch.ts'
import type { Clock } from './publisher.ts'

/**
 * The deadlines of all entries with one timer. Every entry gets the same time, so the order of arrival is the order
 * of the deadlines: a linked list gives the next one, and takes any out, in constant time.
 */
export class Deadlines {
  readonly #clock: Clock
  readonly #onPassed: (entry: Entry) => void
  #first: Entry | undefined
  #last: Entry | undefined
  #cancelTimer: (() => void) | undefined

  /** @param onPassed must take the entry out (`remove`) */
  constructor(clock: Clock, onPassed: (entry: Entry) => void) {
    this.#clock = clock
    this.#onPassed = onPassed
  }

  add(entry: Entry): void {
    entry.before = this.#last
    if (this.#last === undefined) this.#first = entry
    else this.#last.after = entry
    this.#last = entry
    if (this.#cancelTimer === undefined) this.#arm(entry)
  }

  remove(entry: Entry): void {
    if (entry.before === undefined) this.#first = entry.after
    else entry.before.after = entry.after
    if (entry.after === undefined) this.#last = entry.before
    else entry.after.before = entry.before
    entry.before = undefined
    entry.after = undefined
    // The timer of an entry that is gone finds the next one when it fires: no timer is set again for every entry.
    if (this.#first === undefined) {
      this.#cancelTimer?.()
      this.#cancelTimer = undefined
    }
  }

  /** Hands over what has passed by now, also when the timer is late. */
  expire(now: number): void {
    while (this.#first !== undefined && this.#first.deadlineAt <= now) this.#onPassed(this.#first)
  }

  #arm(entry: Entry): void {
    const wait = Math.max(0, Math.ceil(entry.deadlineAt - this.#clock.now()))
    this.#cancelTimer = this.#clock.after(wait, () => this.#onTimer())
  }

  #onTimer(): void {
    this.#cancelTimer = undefined
    this.expire(this.#clock.now())
    if (this.#first !== undefined && this.#cancelTimer === undefined) this.#arm(this.#first)
  }
}

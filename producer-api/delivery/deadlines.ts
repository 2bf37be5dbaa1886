import type { Entry } from './batch.ts'
import type { Clock } from './publisher.ts'

/**
 * The deadlines of all entries, with one timer. All entries have the same timeout, so deadlines are in order of
 * arrival: a linked list finds the next one and removes any of them in constant time.
 */
export class Deadlines {
  readonly #clock: Clock
  readonly #onPassed: (entry: Entry) => void
  #first: Entry | undefined
  #last: Entry | undefined
  #cancelTimer: (() => void) | undefined

  /** @param onPassed must call remove() for the entry */
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
    // Keep the timer of a removed entry: when it fires, it is set again for the next deadline. This saves a timer per entry.
    if (this.#first === undefined) {
      this.#cancelTimer?.()
      this.#cancelTimer = undefined
    }
  }

  /** Calls `onPassed` for every deadline up to `now`, even if the timer is late. */
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

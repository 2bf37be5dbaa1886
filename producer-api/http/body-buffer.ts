import type { MemoryBudget } from '../memory-budget.ts'

const NOTHING = Buffer.alloc(0)

/**
 * A body in one piece of memory, however it was cut up on its way. Node makes an object of some 400 bytes for each
 * chunk of HTTP's and for each segment of TCP's, even for a single byte; here none of them is kept, so that what a
 * body takes follows from its length (I7).
 */
export class BodyBuffer {
  readonly #budget: MemoryBudget
  readonly #maxBytes: number
  /** The first chunk itself while it is the only one: the usual body comes whole, and is not copied. */
  #memory: Buffer = NOTHING
  #length = 0

  /** @param budget is charged for the memory that is held, at most twice the length, until release() */
  constructor(maxBytes: number, budget: MemoryBudget) {
    this.#maxBytes = maxBytes
    this.#budget = budget
  }

  /** Bytes so far. */
  get length(): number {
    return this.#length
  }

  /** What came so far, as a view. */
  get bytes(): Buffer {
    return this.#memory.subarray(0, this.#length)
  }

  /**
   * Appends a chunk; the length must stay within `maxBytes`.
   *
   * @returns false when the budget has no room for it: then nothing was appended
   */
  append(chunk: Buffer): boolean {
    const length = this.#length + chunk.length
    if (this.#length === 0) {
      if (!this.#budget.take(chunk.length)) return false
      this.#memory = chunk
    } else {
      if (length > this.#memory.length && !this.#grow(length)) return false
      chunk.copy(this.#memory, this.#length)
    }
    this.#length = length
    return true
  }

  /** Gives the memory back to the budget. The view from `bytes` stays valid; its memory is no longer charged here. */
  release(): void {
    this.#budget.giveBack(this.#memory.length)
    this.#memory = NOTHING
    this.#length = 0
  }

  #grow(length: number): boolean {
    const capacity = Math.min(2 * length, this.#maxBytes)
    if (!this.#budget.take(capacity - this.#memory.length)) return false
    // Not from Node's pool: a few bytes would keep the whole pool alive.
    const larger = Buffer.allocUnsafeSlow(capacity)
    this.#memory.copy(larger, 0, 0, this.#length)
    this.#memory = larger
    return true
  }
}

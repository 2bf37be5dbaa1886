import type { MemoryBudget } from '../memory-budget.ts'

const NOTHING = Buffer.alloc(0)

/**
 * A request body in one contiguous buffer, however it was split on the way. Node allocates about 400 bytes for each HTTP
 * chunk and each TCP segment, even for a single byte. None of these objects is kept here, so the memory of a body
 * depends only on its length (I7).
 */
export class BodyBuffer {
  readonly #budget: MemoryBudget
  readonly #maxBytes: number
  /** The first chunk itself while it is the only one: most bodies arrive in one chunk and are not copied. */
  #memory: Buffer = NOTHING
  #length = 0

  /** @param budget charged for the memory held, at most twice the length, until release() */
  constructor(maxBytes: number, budget: MemoryBudget) {
    this.#maxBytes = maxBytes
    this.#budget = budget
  }

  /** Bytes received so far. */
  get length(): number {
    return this.#length
  }

  /** The bytes received so far, as a view. */
  get bytes(): Buffer {
    return this.#memory.subarray(0, this.#length)
  }

  /**
   * Appends a chunk; the length must stay within `maxBytes`.
   *
   * @returns false if the budget has no room; nothing was appended then
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

  /** Returns the memory to the budget. The view from `bytes` stays valid, but is no longer charged. */
  release(): void {
    this.#budget.giveBack(this.#memory.length)
    this.#memory = NOTHING
    this.#length = 0
  }

  #grow(length: number): boolean {
    const capacity = Math.min(2 * length, this.#maxBytes)
    if (!this.#budget.take(capacity - this.#memory.length)) return false
    // Not from Node's buffer pool: a small slice would keep the whole pool alive.
    const larger = Buffer.allocUnsafeSlow(capacity)
    this.#memory.copy(larger, 0, 0, this.#length)
    this.#memory = larger
    return true
  }
}

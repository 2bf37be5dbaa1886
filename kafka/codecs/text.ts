/** A block of Snappy or LZ4 cannot be what its producer compressed. */
export class MalformedError extends Error {}

/** The text is larger than allowed. */
export class TooLargeError extends Error {}

/** Snappy and LZ4 both describe a text as literals, which are bytes of the block, and copies of what precedes them. */
export interface TextParts {
  /** Appends `length` bytes of the block from `start` on. */
  literal(block: Buffer, start: number, length: number): void
  /**
   * Appends `length` bytes, copied from `distance` bytes before the end. If `distance` is shorter than `length`, the copy
   * repeats what it has just appended.
   */
  copy(distance: number, length: number): void
}

/** Adds up how long a text will be, so that memory is allocated only for one that is not too long (I7). */
export class TextLength implements TextParts {
  readonly #limit: number
  #bytes = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  get bytes(): number {
    return this.#bytes
  }

  /** @throws {TooLargeError} */
  add(length: number): void {
    this.#bytes += length
    if (this.#bytes > this.#limit) throw new TooLargeError()
  }

  literal(_block: Buffer, _start: number, length: number): void {
    this.add(length)
  }

  copy(_distance: number, length: number): void {
    this.add(length)
  }
}

/** Below this length, a loop is faster than a call that copies. */
const LOOP_BYTES = 32

/** A text of known length. Both calls throw MalformedError if the parts do not fit. */
export class Text implements TextParts {
  readonly #bytes: Buffer
  #at = 0

  constructor(length: number) {
    this.#bytes = Buffer.allocUnsafeSlow(length)
  }

  /** How much of it is there. */
  get length(): number {
    return this.#at
  }

  /** @throws {MalformedError} it is not complete: the rest would be bytes that were in memory before */
  whole(): Buffer {
    if (this.#at < this.#bytes.length) throw new MalformedError('the text is shorter than it says')
    return this.#bytes
  }

  literal(block: Buffer, start: number, length: number): void {
    const at = this.#reserve(length)
    if (start + length > block.length) throw new MalformedError('a literal is cut off')
    const bytes = this.#bytes
    if (length < LOOP_BYTES) for (let n = 0; n < length; n += 1) bytes[at + n] = block[start + n]!
    else block.copy(bytes, at, start, start + length)
  }

  copy(distance: number, length: number): void {
    const at = this.#reserve(length)
    if (distance === 0 || distance > at) throw new MalformedError('a copy begins before the text')
    const bytes = this.#bytes
    const from = at - distance
    if (length < LOOP_BYTES || distance < length) {
      for (let n = 0; n < length; n += 1) bytes[at + n] = bytes[from + n]!
    } else bytes.copyWithin(at, from, from + length)
  }

  /** Where the next `length` bytes go. */
  #reserve(length: number): number {
    const at = this.#at
    this.#at += length
    if (this.#at > this.#bytes.length) throw new MalformedError('the text is longer than it says')
    return at
  }
}

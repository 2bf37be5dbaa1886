/**
 * Splits one direction of a connection into messages. `endOf` returns the end of the message at the start of the bytes,
 * or undefined if there are too few bytes to tell.
 */
export class Framer {
  readonly #endOf: (bytes: Buffer) => number | undefined
  #rest: Buffer = Buffer.alloc(0)

  constructor(endOf: (bytes: Buffer) => number | undefined) {
    this.#endOf = endOf
  }

  /** @returns the messages completed by this chunk, including headers; the rest is kept for the next chunk */
  push(chunk: Buffer): Buffer[] {
    let rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    const messages: Buffer[] = []
    for (;;) {
      const end = this.#endOf(rest)
      if (end === undefined || rest.length < end) break
      messages.push(rest.subarray(0, end))
      rest = rest.subarray(end)
    }
    this.#rest = rest
    return messages
  }
}

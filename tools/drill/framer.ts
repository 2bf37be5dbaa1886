/**
 * Cuts one direction of a connection into its messages. `endOf` tells where the message at the start of the bytes ends,
 * or undefined when too little of it is there to know.
 */
export class Framer {
  readonly #endOf: (bytes: Buffer) => number | undefined
  #rest: Buffer = Buffer.alloc(0)

  constructor(endOf: (bytes: Buffer) => number | undefined) {
    this.#endOf = endOf
  }

  /** @returns the messages that this chunk completes, whole with their headers; what is left waits for the next one */
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

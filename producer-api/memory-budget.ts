import type { IncomingMessage } from 'node:http'

/**
 * What a request keeps in memory, beside its body or records and its headers, until it is answered: its connection,
 * the parsed request, the response, the context, promises. Counted so that the limits bound the memory and not just
 * the payload (I7): 9,000 waiting requests on as many connections took 24 KB of resident memory each.
 */
export const REQUEST_OVERHEAD_BYTES = 16 * 1024

/** Bytes that one kind of work may hold in memory, all clients together (I7). */
export class MemoryBudget {
  readonly #limitBytes: number
  #usedBytes = 0

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes
  }

  get usedBytes(): number {
    return this.#usedBytes
  }

  /** Takes so many bytes, or nothing and returns false when they do not fit. */
  take(bytes: number): boolean {
    if (this.#usedBytes + bytes > this.#limitBytes) return false
    this.#usedBytes += bytes
    return true
  }

  giveBack(bytes: number): void {
    this.#usedBytes -= bytes
  }
}

/** Characters of the URL and of all headers; Node keeps them as strings of one byte each. */
export function headBytes({ url = '', rawHeaders }: IncomingMessage): number {
  let bytes = url.length
  for (const text of rawHeaders) bytes += text.length
  return bytes
}

import type { IncomingMessage } from 'node:http'

/**
 * What a request that waits for Kafka takes besides its records and its head: the parsed request, the response, the
 * context, promises. Counted so that the limit bounds the memory and not just the payload (I7): 9,000 of them, on as many
 * connections, took 24 KB of resident memory each, of which their connections had 12.
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

/** The object around each name and each value of a header, and its places in Node's lists. */
const STRING_BYTES = 56

/** What the URL and the headers of a request take; Node keeps them as strings of one byte for each character. */
export function headBytes({ url = '', rawHeaders }: IncomingMessage): number {
  let bytes = url.length + rawHeaders.length * STRING_BYTES
  for (const text of rawHeaders) bytes += text.length
  return bytes
}

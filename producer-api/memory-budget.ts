import type { IncomingMessage } from 'node:http'
import { InvariantError } from '../platform/errors.ts'

/**
 * Memory of a request that waits for Kafka, not counting its records, URL and headers: the request and response objects,
 * the context, promises. It is counted so that the limit bounds memory and not only payload (I7). Measured: 9,000 waiting
 * requests on as many connections took 24 KB of resident memory each, 12 of them for the connection.
 */
export const REQUEST_OVERHEAD_BYTES = 16 * 1024

/** A limit for the bytes that one kind of work may hold in memory, for all clients together (I7). */
export class MemoryBudget {
  readonly limitBytes: number
  #usedBytes = 0

  constructor(limitBytes: number) {
    this.limitBytes = limitBytes
  }

  get usedBytes(): number {
    return this.#usedBytes
  }

  /** Reserves the bytes, or returns false and reserves nothing if they do not fit. */
  take(bytes: number): boolean {
    if (this.#usedBytes + bytes > this.limitBytes) return false
    this.#usedBytes += bytes
    return true
  }

  giveBack(bytes: number): void {
    this.#usedBytes -= bytes
    if (this.#usedBytes < 0) throw new InvariantError(`${bytes} bytes were given back that were never taken`)
  }
}

/** Overhead of each header name and value: the string object and its references. */
const STRING_BYTES = 56

/** Memory of the URL and headers of a request. Node keeps them as strings with one byte per character. */
export function headBytes({ url = '', rawHeaders }: IncomingMessage): number {
  let bytes = url.length + rawHeaders.length * STRING_BYTES
  for (const text of rawHeaders) bytes += text.length
  return bytes
}

import type { Extras } from './extras.ts'

/**
 * The records of one request, concatenated in one buffer. They are accepted or refused together, and share no memory with
 * the request body.
 */
export interface Records {
  readonly bytes: Buffer
  /** The end offset of each record, which is the start of the next one. */
  readonly ends: readonly number[]
  /** In the order of the records, what stands beside their values; left out when none of them has a key or headers. */
  readonly extras?: readonly (Extras | undefined)[]
}

export const NO_RECORDS: Records = { bytes: Buffer.alloc(0), ends: [] }

/** Each record as a view of the buffer. */
export function eachRecord({ bytes, ends }: Records): Buffer[] {
  return ends.map((end, n) => bytes.subarray(n === 0 ? 0 : ends[n - 1], end))
}

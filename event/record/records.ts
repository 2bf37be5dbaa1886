import type { Extras } from './extras.ts'

/**
 * The records of one request, concatenated in one buffer. They are accepted or refused together, and share no memory with
 * the request body.
 */
export interface Records {
  readonly bytes: Buffer
  /** The end offset of each record, which is the start of the next one. */
  readonly ends: readonly number[]
  /** The key and headers of each record, in the order of the records; omitted if no record has any. */
  readonly extras?: readonly (Extras | undefined)[]
}

export const NO_RECORDS: Records = { bytes: Buffer.alloc(0), ends: [] }

/** Each record as a view of the buffer. */
export function eachRecord({ bytes, ends }: Records): Buffer[] {
  return ends.map((end, n) => bytes.subarray(n === 0 ? 0 : ends[n - 1], end))
}

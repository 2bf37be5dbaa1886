/**
 * The records of one request, one behind the other in one allocation: they share one fate. They have no memory in
 * common with the request's body.
 */
export interface Records {
  readonly bytes: Buffer
  /** Where each record ends and the next one begins; the last is the length of `bytes`. */
  readonly ends: readonly number[]
}

export const NO_RECORDS: Records = { bytes: Buffer.alloc(0), ends: [] }

/** Each record as a view. */
export function eachRecord({ bytes, ends }: Records): Buffer[] {
  return ends.map((end, n) => bytes.subarray(n === 0 ? 0 : ends[n - 1], end))
}

import type { Records } from '../../event/record/records.ts'

/** These values as the records of one request. */
export function recordsOf(...values: Uint8Array[]): Records {
  let end = 0
  return { bytes: Buffer.concat(values), ends: values.map((value) => (end += value.length)) }
}

/**
 * Recognizes the common forms of an event's fields from their bytes, because creating a string first costs more than the
 * check. A value that is not recognized may still be valid in another form: see read-value.ts. Timestamps: timestamp.ts.
 */
import { skipDigits } from './json/tokens.ts'

export const UUID_BYTES = 36
const UUID_DIGITS = 32
/** Any number with this many digits fits in int8. */
const SAFE_DIGITS = 18

/** 1 for the digits and the letters a to f. */
const HEX = new Uint8Array(256)
HEX.fill(1, 0x30, 0x3a)
HEX.fill(1, 0x61, 0x67)

/** Whether `[start, end)` is a lowercase UUID with hyphens. */
export function isUuid(buf: Buffer, start: number, end: number): boolean {
  if (end - start !== UUID_BYTES) return false
  if (buf[start + 8] !== 0x2d || buf[start + 13] !== 0x2d) return false
  if (buf[start + 18] !== 0x2d || buf[start + 23] !== 0x2d) return false
  let digits = 0
  for (let at = start; at < end; at++) digits += HEX[buf[at]!]!
  return digits === UUID_DIGITS
}

/** Whether `[start, end)` is an integer of at most 18 digits in the form that JSON and PostgreSQL both use. */
export function isSafeInteger(buf: Buffer, start: number, end: number): boolean {
  const first = buf[start] === 0x2d ? start + 1 : start
  const digits = end - first
  if (digits < 1 || digits > SAFE_DIGITS || skipDigits(buf, first, end) < end) return false
  return buf[first] !== 0x30 || (digits === 1 && first === start)
}

/**
 * Recognizes the common forms of an event's fields from their bytes, because creating a string first costs more than the
 * check. A value that is not recognized may still be valid in another form: see fields.ts and timestamp.ts.
 */
import { DIGIT_VALUE, NO_DIGIT, skipDigits } from './json/tokens.ts'
import { DAYS_IN_MONTH } from './timestamp.ts'

export const UUID_BYTES = 36
const UUID_DIGITS = 32
/** Any number with this many digits fits in int8. */
const SAFE_DIGITS = 18
/** Length of `YYYY-MM-DDTHH:MM:SS`. */
export const SECONDS_BYTES = 19
const MAX_FRACTION_DIGITS = 6

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

/** Whether `[start, end)` is a valid `YYYY-MM-DDTHH:MM:SS`, an optional fraction of one to six digits, and `Z`. */
export function isUtcTimestamp(buf: Buffer, start: number, end: number): boolean {
  const fraction = end - start - SECONDS_BYTES - 2
  if (fraction < -1 || fraction === 0 || fraction > MAX_FRACTION_DIGITS || buf[end - 1] !== 0x5a) return false
  if (fraction > 0 && buf[start + SECONDS_BYTES] !== 0x2e) return false
  if (fraction > 0 && skipDigits(buf, end - 1 - fraction, end) < end - 1) return false
  if (buf[start + 4] !== 0x2d || buf[start + 7] !== 0x2d || buf[start + 10] !== 0x54) return false
  if (buf[start + 13] !== 0x3a || buf[start + 16] !== 0x3a) return false
  const century = twoDigits(buf, start)
  const year = twoDigits(buf, start + 2)
  const month = twoDigits(buf, start + 5)
  const day = twoDigits(buf, start + 8)
  if (century >= NO_DIGIT || year >= NO_DIGIT || century + year === 0 || month > 12) return false
  if (day < 1 || day > DAYS_IN_MONTH[month]!) return false // February 29 is left to timestamp.ts
  return (
    twoDigits(buf, start + 11) <= 23 && twoDigits(buf, start + 14) <= 59 && twoDigits(buf, start + 17) <= 59
  )
}

/** Two decimal digits as a number; NO_DIGIT or more if either is not a digit. */
function twoDigits(buf: Buffer, at: number): number {
  return DIGIT_VALUE[buf[at]!]! * 10 + DIGIT_VALUE[buf[at + 1]!]!
}

/** The range of PostgreSQL's numeric, the type of numbers in jsonb (set_var_from_str, make_result in numeric.c). */

/** NUMERIC_DSCALE_MAX: digits after the point, counting trailing zeros. */
const MAX_SCALE = 16_383
/** The largest power of ten of the first nonzero digit: NUMERIC_WEIGHT_MAX is 32,767 in base 10,000. */
const MAX_WEIGHT = 4 * 32_767 + 3
/** PG_INT32_MAX / 2: the parser rejects a larger exponent before it reads the digits. */
const MAX_EXPONENT = 1_073_741_823

/** A number of at most this length without an exponent is always in range. */
export const ALWAYS_IN_RANGE_LENGTH = MAX_SCALE

/** Whether numeric can hold the number token `[start, end)`, which must be valid by RFC 8259. */
export function numericHolds(buf: Buffer, start: number, end: number): boolean {
  let pos = buf[start] === 0x2d ? start + 1 : start
  let integerDigits = 0
  let fractionDigits = 0
  let firstDigit = -1 // index of the first nonzero digit among all digits
  let inFraction = false
  for (; pos < end; pos++) {
    const c = buf[pos]!
    if (c === 0x2e) {
      inFraction = true
      continue
    }
    if ((c | 0x20) === 0x65) break
    if (c !== 0x30 && firstDigit < 0) firstDigit = integerDigits + fractionDigits
    if (inFraction) fractionDigits++
    else integerDigits++
  }
  const exponent = pos < end ? readExponent(buf, pos + 1, end) : 0
  if (Math.abs(exponent) > MAX_EXPONENT) return false
  if (fractionDigits - exponent > MAX_SCALE) return false
  return firstDigit < 0 || integerDigits - 1 - firstDigit + exponent <= MAX_WEIGHT
}

function readExponent(buf: Buffer, start: number, end: number): number {
  const sign = buf[start]
  let value = 0
  for (let pos = sign === 0x2b || sign === 0x2d ? start + 1 : start; pos < end; pos++) {
    value = value * 10 + buf[pos]! - 0x30
    if (value > MAX_EXPONENT) break
  }
  return sign === 0x2d ? -value : value
}

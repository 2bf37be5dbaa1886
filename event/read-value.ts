/** Reads the values of fields in scanned JSON text as their canonical text. */
import { type JsonScan, KIND_NUMBER, KIND_OBJECT, KIND_STRING } from './json/scan-result.ts'
import { parseInet } from './inet.ts'
import { canonicalTimestamp, readTimestamp } from './timestamp.ts'

/** The range of PostgreSQL's int8. */
export const INT8_MAX = '9223372036854775807'
export const INT8_MIN = '-9223372036854775808'
/** RFC 9562 section 4, any version and variant: PostgreSQL's uuid accepts all of them. */
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const UUID_ANY_CASE = new RegExp(UUID, 'i')

/**
 * The canonical user_id in member `i`, or undefined if it is not valid: an integer, also written as `42.0` (as Python does
 * for a float) or `1e3`, or the digits of one as a string, because JavaScript cannot write every number of int8.
 */
export function readUserId(buf: Buffer, scan: JsonScan, i: number): string | undefined {
  if (scan.valueKind[i] === KIND_STRING) return canonicalUserId(scan.string(buf, i))
  if (scan.valueKind[i] !== KIND_NUMBER) return undefined
  const token = buf.toString('latin1', scan.valueStart[i], scan.valueEnd[i])
  return canonicalUserId(token) ?? canonicalUserId(integerText(token))
}

/**
 * The canonical user_id of USER_ID_TYPE=text in member `i`, or undefined if it is not valid: a JSON string of 1 to `max`
 * characters, with its quotes. An integer within int8 is its decimal text, so that clients need not change with the column.
 */
export function readUserIdText(buf: Buffer, scan: JsonScan, i: number, max: number): string | undefined {
  const text = scan.valueKind[i] === KIND_STRING ? readText(buf, scan, i, max) : readUserId(buf, scan, i)
  return text === undefined ? undefined : `"${text}"`
}

/**
 * The text in member `i`, escaped as JSON.stringify() does, which is canonical; undefined if it is not a string of 1 to
 * `max` characters. Characters are code points, as PostgreSQL's char_length() counts them.
 */
export function readText(buf: Buffer, scan: JsonScan, i: number, max: number): string | undefined {
  if (scan.valueKind[i] !== KIND_STRING) return undefined
  const text = scan.string(buf, i)
  if (text.length === 0 || (text.length > max && codePoints(text) > max)) return undefined
  return scan.valueIsEscaped[i] === 1 ? JSON.stringify(text).slice(1, -1) : text
}

/** The number of code points; a lone surrogate, which PostgreSQL cannot hold anyway, counts as one. */
function codePoints(text: string): number {
  let count = 0
  for (const _ of text) count++
  return count
}

/** The canonical network address in member `i`, or undefined if it is not valid. */
export function readAddress(buf: Buffer, scan: JsonScan, i: number): string | undefined {
  if (scan.valueKind[i] !== KIND_STRING) return undefined
  const text = scan.string(buf, i)
  return parseInet(text) === undefined ? undefined : text
}

/** The canonical timestamp in member `i`, or undefined if it is not valid. */
export function readTimestampValue(buf: Buffer, scan: JsonScan, i: number): string | undefined {
  if (scan.valueKind[i] !== KIND_STRING) return undefined
  if (scan.valueIsEscaped[i] === 1) return canonicalTimestamp(scan.string(buf, i))
  return readTimestamp(buf, scan.valueStart[i]! + 1, scan.valueEnd[i]! - 1)
}

/** The canonical UUID in member `i`, or undefined if it is not valid. */
export function readUuid(buf: Buffer, scan: JsonScan, i: number): string | undefined {
  if (scan.valueKind[i] !== KIND_STRING) return undefined
  return canonicalUuid(scan.string(buf, i))
}

/** The object in member `i` as its text, a view of `buf`, or undefined if it is not an object. */
export function readObject(buf: Buffer, scan: JsonScan, i: number): Buffer | undefined {
  return scan.valueKind[i] === KIND_OBJECT ? buf.subarray(scan.valueStart[i], scan.valueEnd[i]) : undefined
}

/**
 * The canonical text of a decimal integer, written as in JSON, that is within int8 (PostgreSQL's bigint), or undefined.
 * Compared as text, because a JavaScript number would round. `-0` becomes `0`.
 */
export function canonicalUserId(token: string): string | undefined {
  const negative = token.charCodeAt(0) === 0x2d
  const digits = negative ? token.slice(1) : token
  if (digits.length === 0 || digits.length > INT8_MAX.length) return undefined
  for (let i = 0; i < digits.length; i++) {
    const c = digits.charCodeAt(i)
    if (c < 0x30 || c > 0x39) return undefined
  }
  if (digits.charCodeAt(0) === 0x30) return digits.length === 1 ? '0' : undefined
  // Digits of the same length compare as text in numeric order.
  if (digits.length === INT8_MAX.length && digits > (negative ? INT8_MIN.slice(1) : INT8_MAX))
    return undefined
  return token
}

/** A number of JSON with a fraction or an exponent as decimal digits; '' if it is not an integer of at most 19 digits. */
function integerText(token: string): string {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(token) ?? []
  // Not by a regular expression: one that ends with $ takes quadratic time.
  const all = whole + fraction
  let end = all.length
  while (end > 0 && all.charCodeAt(end - 1) === 0x30) end--
  let start = 0
  while (start < end && all.charCodeAt(start) === 0x30) start++
  if (start === end) return '0'
  const digits = all.slice(start, end)
  const zeros = whole.length + Number(exponent) - end
  return zeros < 0 || digits.length + zeros > INT8_MAX.length ? '' : sign + digits + '0'.repeat(zeros)
}

/** The UUID in lowercase, or undefined if the text is not a UUID with hyphens (no braces, no `urn:`). */
export function canonicalUuid(text: string): string | undefined {
  if (UUID.test(text)) return text
  return UUID_ANY_CASE.test(text) ? text.toLowerCase() : undefined
}

/**
 * The tokens of JSON text, for scan.ts. Each function takes the offset of a token and returns the offset after it, or -1
 * if it is not JSON; position and reason are then in `scan`.
 */
import type { JsonScan } from './scan-result.ts'
import { ALWAYS_IN_RANGE_LENGTH, numericHolds } from './numeric-range.ts'

/** 1 for the bytes that end a run of plain characters in a string: quote, backslash, control characters. */
const STRING_STOP = new Uint8Array(256)
STRING_STOP.fill(1, 0, 0x20)
STRING_STOP[0x22] = 1
STRING_STOP[0x5c] = 1

/** 1 for the characters of two-character escapes: `"` `\` `/` `b` `f` `n` `r` `t`. */
const SHORT_ESCAPE = new Uint8Array(256)
for (const c of Buffer.from('"\\/bfnrt')) SHORT_ESCAPE[c] = 1

/** Offset of the first byte at or after `pos` that is not white space (RFC 8259 section 2), or `end`. */
export function skipSpace(buf: Buffer, pos: number, end: number): number {
  while (pos < end) {
    const c = buf[pos]!
    if (c > 0x20 || (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09)) break
    pos++
  }
  return pos
}

/** Scans the string whose opening quote is at `pos`, and sets `scan.escaped`. Adds jsonb faults if `report` is true. */
export function scanString(buf: Buffer, pos: number, end: number, scan: JsonScan, report: boolean): number {
  pos++
  while (pos < end && STRING_STOP[buf[pos]!] === 0) pos++
  scan.escaped = pos < end && buf[pos] === 0x5c
  return pos < end && buf[pos] === 0x22 ? pos + 1 : scanStringFrom(buf, pos, end, scan, report)
}

/** Scans the rest of a string from the first byte that is not plain. */
function scanStringFrom(buf: Buffer, pos: number, end: number, scan: JsonScan, report: boolean): number {
  for (;;) {
    while (pos < end && STRING_STOP[buf[pos]!] === 0) pos++
    if (pos >= end) return scan.fail(end, 'the text ends inside a string')
    const c = buf[pos]
    if (c === 0x22) return pos + 1
    if (c !== 0x5c) return scan.fail(pos, 'a control character in a string must be escaped')
    pos = scanEscape(buf, pos, end, scan, report)
    if (pos < 0) return -1
  }
}

/** Scans the escape whose backslash is at `pos`, or both escapes of a surrogate pair. */
function scanEscape(buf: Buffer, pos: number, end: number, scan: JsonScan, report: boolean): number {
  if (pos + 1 >= end) return scan.fail(end, 'the text ends inside a string')
  const c = buf[pos + 1]!
  if (SHORT_ESCAPE[c] === 1) return pos + 2
  if (c !== 0x75) return scan.fail(pos + 1, 'this character cannot follow a backslash')
  const unit = codeUnit(buf, pos, end)
  if (unit < 0) return scan.fail(pos, '\\u must be followed by four hexadecimal digits')
  if (unit === 0 && report) scan.addFault('nul_escape', pos)
  if (unit < 0xd800 || unit > 0xdfff) return pos + 6
  // As json_lex_string in jsonapi.c: an escaped high surrogate must be followed directly by an escaped low one.
  if (unit < 0xdc00) {
    const next = codeUnit(buf, pos + 6, end)
    if (next >= 0xdc00 && next <= 0xdfff) return pos + 12
  }
  if (report) scan.addFault('lone_surrogate', pos)
  return pos + 6
}

/** The code unit of the `\uXXXX` at `pos`, or -1 if there is none. */
function codeUnit(buf: Buffer, pos: number, end: number): number {
  if (pos + 6 > end || buf[pos] !== 0x5c || buf[pos + 1] !== 0x75) return -1
  let unit = 0
  for (let i = pos + 2; i < pos + 6; i++) {
    const c = buf[i]!
    const letter = c | 0x20
    if (c >= 0x30 && c <= 0x39) unit = unit * 16 + c - 0x30
    else if (letter >= 0x61 && letter <= 0x66) unit = unit * 16 + letter - 0x57
    else return -1
  }
  return unit
}

/** The value of each byte as a decimal digit, or NO_DIGIT. */
export const NO_DIGIT = 100
export const DIGIT_VALUE = new Uint8Array(256).fill(NO_DIGIT)
for (let digit = 0; digit < 10; digit++) DIGIT_VALUE[0x30 + digit] = digit

/** Offset of the first byte at or after `pos` that is not a decimal digit, or `end`. */
export function skipDigits(buf: Buffer, pos: number, end: number): number {
  while (pos < end && DIGIT_VALUE[buf[pos]!] !== NO_DIGIT) pos++
  return pos
}

/** Scans the number at `pos`, a minus sign or digit. The caller checks what follows: of `01` this scans the `0`. */
export function scanNumber(buf: Buffer, pos: number, end: number, scan: JsonScan, report: boolean): number {
  const start = pos
  if (buf[pos] === 0x2d) pos++
  const first = pos
  pos = buf[pos] === 0x30 && pos < end ? pos + 1 : skipDigits(buf, pos, end)
  if (pos === first) return scan.fail(pos, 'expected a digit')
  let check = false
  if (pos < end && buf[pos] === 0x2e) {
    const digits = ++pos
    pos = skipDigits(buf, pos, end)
    if (pos === digits) return scan.fail(pos, 'expected a digit after the decimal point')
  }
  if (pos < end && (buf[pos]! | 0x20) === 0x65) {
    pos++
    if (pos < end && (buf[pos] === 0x2b || buf[pos] === 0x2d)) pos++
    const digits = pos
    pos = skipDigits(buf, pos, end)
    if (pos === digits) return scan.fail(pos, 'expected a digit in the exponent')
    check = true
  }
  if (report && (check || pos - start > ALWAYS_IN_RANGE_LENGTH) && !numericHolds(buf, start, pos)) {
    scan.addFault('number_out_of_range', start)
  }
  return pos
}

const TRUE = Buffer.from('true')
const FALSE = Buffer.from('false')
const NULL = Buffer.from('null')

/** Scans `true`, `false` or `null`. */
export function scanWord(buf: Buffer, pos: number, end: number, scan: JsonScan): number {
  const c = buf[pos]
  const word = c === 0x74 ? TRUE : c === 0x66 ? FALSE : c === 0x6e ? NULL : undefined
  if (word === undefined) return scan.fail(pos, 'expected a JSON value')
  for (let i = 1; i < word.length; i++) {
    if (pos + i >= end || buf[pos + i] !== word[i]) {
      return scan.fail(Math.min(pos + i, end), `expected ${word.toString()}`)
    }
  }
  return pos + word.length
}

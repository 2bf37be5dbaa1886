/**
 * One pass over JSON text finds out whether it is valid (RFC 8259), whether PostgreSQL's jsonb can hold it, and where the
 * members of the top-level object begin and end. No values are built. Nesting uses memory instead of the call stack.
 *
 * There are three results: `false` (not JSON, see `scan.error`, `errorOffset` and `errorReason`), `true` with entries in
 * `scan.faults` (JSON that jsonb cannot hold), and `true` without (jsonb can hold the text and each of its members).
 */
import {
  type JsonScan,
  KIND_ARRAY,
  KIND_FALSE,
  KIND_NULL,
  KIND_NUMBER,
  KIND_OBJECT,
  KIND_STRING,
  KIND_TRUE,
} from './scan-result.ts'
import { scanNumber, scanString, scanWord, skipSpace } from './tokens.ts'
import { MAX_DEPTH } from '../limits.ts'
import { invalidUtf8Offset, skipByteOrderMark } from './utf8.ts'

const ENDED = 'the text ends too early'
const OPEN_CONTAINERS = new Uint8Array(256)

/**
 * Scans `[start, end)` as a complete text: valid UTF-8 with one value and optional white space around it. A byte order
 * mark at the start is skipped.
 */
export function scanText(buf: Buffer, start: number, end: number, scan: JsonScan): boolean {
  const whole = start === 0 && end === buf.length
  const invalid = invalidUtf8Offset(whole ? buf : buf.subarray(start, end))
  if (invalid >= 0) {
    scan.reset()
    return refuse(scan, start + invalid, 'this byte is not UTF-8', 'not_utf8')
  }
  if (!scanValue(buf, skipByteOrderMark(buf, start, end), end, scan)) return false
  const rest = skipSpace(buf, scan.end, end)
  return rest === end || refuse(scan, rest, 'expected the end of the text')
}

/**
 * Scans the value that begins at or after `start`, and stops after it (`scan.end`). The bytes must be valid UTF-8; the
 * caller checks what follows the value.
 */
export function scanValue(buf: Buffer, start: number, end: number, scan: JsonScan): boolean {
  scan.reset()
  let pos = skipSpace(buf, start, end)
  scan.start = pos
  let open = OPEN_CONTAINERS // the kind of each container that is still open, outermost first
  let depth = 0
  let inObject = false
  let memberValue = 0
  let kind = 0

  for (;;) {
    // Expect a value at pos.
    if (pos >= end) return refuse(scan, end, ENDED)
    const c = buf[pos]!
    if (depth === 1) memberValue = pos
    let opened = false
    if (c === 0x22) {
      pos = scanString(buf, pos, end, scan, depth <= MAX_DEPTH)
      kind = KIND_STRING
    } else if (c === 0x7b || c === 0x5b) {
      kind = c === 0x7b ? KIND_OBJECT : KIND_ARRAY
      if (depth === 0) scan.kind = kind
      if (depth === MAX_DEPTH) scan.addFault('too_deep', pos)
      if (depth === open.length) open = grown(open)
      open[depth++] = kind
      inObject = kind === KIND_OBJECT
      opened = true
      pos = skipSpace(buf, pos + 1, end)
    } else if (c === 0x2d || (c >= 0x30 && c <= 0x39)) {
      pos = scanNumber(buf, pos, end, scan, depth <= MAX_DEPTH)
      kind = KIND_NUMBER
    } else {
      pos = scanWord(buf, pos, end, scan)
      kind = c === 0x74 ? KIND_TRUE : c === 0x66 ? KIND_FALSE : KIND_NULL
    }
    if (pos < 0) return false

    // After a value or an opening bracket: close containers until another value follows.
    let escaped = kind === KIND_STRING && scan.escaped
    for (;;) {
      if (!opened) {
        if (depth === 0) {
          scan.kind = kind
          scan.end = pos
          return true
        }
        if (depth === 1 && inObject) scan.endMember(kind, memberValue, pos, escaped)
        pos = skipSpace(buf, pos, end)
      }
      if (pos >= end) return refuse(scan, end, ENDED)
      const next = buf[pos]!
      if (next === (inObject ? 0x7d : 0x5d)) {
        pos++
        depth--
        kind = inObject ? KIND_OBJECT : KIND_ARRAY
        inObject = depth > 0 && open[depth - 1] === KIND_OBJECT
        opened = false
        escaped = false
        continue
      }
      if (!opened) {
        if (next !== 0x2c) return refuse(scan, pos, inObject ? 'expected , or }' : 'expected , or ]')
        pos = skipSpace(buf, pos + 1, end)
      }
      break
    }

    if (inObject) {
      pos = scanName(buf, pos, end, scan, depth)
      if (pos < 0) return false
    }
  }
}

/** Scans a member name and its colon. Returns the offset of the value, or -1 if it is not JSON. */
function scanName(buf: Buffer, pos: number, end: number, scan: JsonScan, depth: number): number {
  if (pos >= end) return scan.fail(end, ENDED)
  if (buf[pos] !== 0x22) return scan.fail(pos, 'expected a name in double quotes')
  const after = scanString(buf, pos, end, scan, depth <= MAX_DEPTH)
  if (after < 0) return -1
  if (depth === 1) scan.beginMember(pos + 1, after - 1, scan.escaped)
  const colon = skipSpace(buf, after, end)
  if (colon >= end) return scan.fail(end, ENDED)
  if (buf[colon] !== 0x3a) return scan.fail(colon, 'expected a colon')
  return skipSpace(buf, colon + 1, end)
}

function refuse(scan: JsonScan, offset: number, reason: string, error?: 'not_utf8'): false {
  scan.fail(offset, reason, error)
  return false
}

function grown(open: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(open.length * 2)
  larger.set(open)
  return larger
}

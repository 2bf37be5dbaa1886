/** RFC 6901 pointers to positions in JSON text. Used only to report faults: it scans the text a second time. */
import { decodeString } from './scan-result.ts'
import { skipSpace } from './tokens.ts'

/** One reference token of a pointer with its slash: `/name` or `/0`. */
export function pointerSegment(name: string | number): string {
  return typeof name === 'number' ? `/${name}` : `/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`
}

interface Level {
  isObject: boolean
  /** Index of the current item of an array. */
  index: number
  /** The current member name of an object with its quotes: `[nameStart, nameEnd)`. */
  nameStart: number
  nameEnd: number
}

/**
 * Returns a pointer for each of the ascending byte `offsets` in valid JSON text: to the innermost value that contains the
 * offset, or to the member if the offset is in its name. Stops early, after at least one pointer, once they have more than
 * `budget` characters in total: a long name around many faults must not lead to a huge response.
 */
export function pointersAt(
  buf: Buffer,
  start: number,
  end: number,
  offsets: number[],
  budget: number,
): string[] {
  const pointers: string[] = []
  const path: Level[] = []
  let next = 0
  let spent = 0
  let pos = start
  while (next < offsets.length && spent <= budget) {
    pos = skipSpace(buf, pos, end)
    if (pos >= end) break
    const level = path.at(-1)
    const c = buf[pos]!
    const tokenEnd = endOfToken(buf, pos, end)
    if (c === 0x22 && level?.isObject === true && level.nameStart < 0) {
      level.nameStart = pos
      level.nameEnd = tokenEnd
    }
    while (next < offsets.length && offsets[next]! < tokenEnd && spent <= budget) {
      const pointer = path.map((at) => segment(buf, at)).join('')
      pointers.push(pointer)
      spent += pointer.length
      next++
    }
    if (c === 0x7b || c === 0x5b) path.push({ isObject: c === 0x7b, index: 0, nameStart: -1, nameEnd: -1 })
    else if (c === 0x7d || c === 0x5d) path.pop()
    else if (c === 0x2c && level !== undefined) {
      level.index++
      level.nameStart = -1
    }
    pos = tokenEnd
  }
  return pointers
}

function segment(buf: Buffer, level: Level): string {
  if (!level.isObject) return pointerSegment(level.index)
  return pointerSegment(decodeString(buf, level.nameStart + 1, level.nameEnd - 1, true))
}

/** The end of the string, number, literal or punctuation character at `pos`. */
function endOfToken(buf: Buffer, pos: number, end: number): number {
  const c = buf[pos]!
  if (c === 0x22) {
    let at = pos + 1
    while (at < end && buf[at] !== 0x22) at += buf[at] === 0x5c ? 2 : 1
    return Math.min(at + 1, end)
  }
  let at = pos
  while (at < end && isWordByte(buf[at]!)) at++
  return at === pos ? pos + 1 : at
}

/** Whether a number, `true`, `false` or `null` can contain the byte. */
function isWordByte(c: number): boolean {
  return (
    (c >= 0x30 && c <= 0x39) ||
    (c >= 0x61 && c <= 0x7a) ||
    c === 0x2d ||
    c === 0x2b ||
    c === 0x2e ||
    c === 0x45
  )
}

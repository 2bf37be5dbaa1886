/** Reads the values of a canonical record (layout.ts) where they stand. */
import { isUtf8 } from 'node:buffer'
import { isSafeInteger } from '../canonical-bytes.ts'
import { ID_CHARACTERS, type UserIdType } from '../kinds.ts'
import { skipDigits } from '../json/tokens.ts'
import { MAX_DEPTH } from '../limits.ts'
import { TimestampReader } from '../timestamp.ts'
import { END } from './layout.ts'

/** Any integer with this many digits is exact as a JavaScript number. */
const EXACT_DIGITS = 15
const QUOTE = 0x22
const BACKSLASH = 0x5c
const SPACE = 0x20

/** Each keeps the last date of its field. */
export const timestamps = new TimestampReader()
export const receivedAts = new TimestampReader()

export function matches(value: Buffer, start: number, text: Buffer): boolean {
  for (let i = 0; i < text.length; i++) if (value[start + i] !== text[i]) return false
  return true
}

/** Whether a record has canonical timestamps at two places, and metadata that end one byte before it does. */
export function isStorable(value: Buffer, timestamp: number, received: number, metadata: number): boolean {
  const end = value.length - 1
  if (value[metadata] !== 0x7b || value[end - 1] !== 0x7d || value[end] !== END) return false
  if (mayBeDeep(value, metadata, end)) return false
  const timestampMicros = timestamps.micros(value, timestamp)
  const receivedMicros = receivedAts.micros(value, received)
  return Number.isSafeInteger(timestampMicros) && Number.isSafeInteger(receivedMicros) && isUtf8(value)
}

/** Whether the metadata may exceed MAX_DEPTH, which PostgreSQL does not check. May be true for metadata that do not. */
function mayBeDeep(value: Buffer, start: number, end: number): boolean {
  if (end - start <= 2 * MAX_DEPTH) return false
  let opening = 0
  for (let i = start; i < end; i++) if (value[i] === 0x7b || value[i] === 0x5b) opening += 1
  return opening > MAX_DEPTH
}

/** The offset after a canonical user_id (of type text: after its quote), or -1 if there is none. */
export function userIdEnd(value: Buffer, start: number, userIdType: UserIdType): number {
  if (userIdType === 'bigint') return integerEnd(value, start)
  const end = value[start] === QUOTE ? plainTextEnd(value, start + 1, ID_CHARACTERS) : -1
  return end < 0 ? -1 : end + 1
}

/** The user_id that ends there. */
export function userIdAt(value: Buffer, start: number, end: number): number | Buffer {
  return value[start] === QUOTE ? value.subarray(start + 1, end - 1) : integerAt(value, start, end)
}

/** The offset after a user_id that is a text, with its quotes; 0 for an integer. */
export function userTextEnd(value: Buffer, start: number, end: number): number {
  return value[start] === QUOTE ? end : 0
}

/** Its bytes if it is a text; an integer has a fixed length. */
export function userIdBytes(value: Buffer, start: number, end: number): number {
  return value[start] === QUOTE ? end - start - 2 : 0
}

/** The offset of the quote that ends a string of 1 to `most` bytes without escapes, or -1. */
export function plainTextEnd(value: Buffer, start: number, most: number): number {
  const last = Math.min(start + most, value.length - 1)
  for (let at = start; at <= last; at++) {
    const byte = value[at]!
    if (byte === QUOTE) return at > start ? at : -1
    if (byte === BACKSLASH || byte < SPACE) return -1
  }
  return -1
}

/** The offset after a canonical integer of at most EXACT_DIGITS digits, or -1 if there is none. */
function integerEnd(value: Buffer, start: number): number {
  const first = value[start] === 0x2d ? start + 1 : start
  const pos = skipDigits(value, first, value.length)
  return pos - first <= EXACT_DIGITS && isSafeInteger(value, start, pos) ? pos : -1
}

function integerAt(value: Buffer, start: number, end: number): number {
  const isNegative = value[start] === 0x2d
  let number = 0
  for (let i = isNegative ? start + 1 : start; i < end; i++) number = number * 10 + value[i]! - 0x30
  return isNegative ? -number : number
}

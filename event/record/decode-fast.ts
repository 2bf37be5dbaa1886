/**
 * The fast path of decode.ts: recognizes a record written by the API (encode.ts) from its bytes, and finds the fields at
 * their known positions. It does not parse the metadata. PostgreSQL parses them anyway, and if it refuses them, the
 * general decoder decodes the record again to find out why (decodeAgain() in decode.ts).
 *
 * This is only an optimization: the general decoder reads these records the same way.
 */
import { isUtf8 } from 'node:buffer'
import { isSafeInteger, isUuid, UUID_BYTES } from '../canonical-bytes.ts'
import { skipDigits } from '../json/tokens.ts'
import { MAX_DEPTH } from '../limits.ts'
import { isCanonicalTimestamp, toPostgresMicros } from '../timestamp.ts'
import type { EventRow } from './decoded.ts'

/*
 * {"event_id":"00000000-0000-7000-8000-000000000000","user_id":1,"timestamp":"2026-01-01T00:00:00.000000Z",
 * "received_at":"2026-01-01T00:00:00.000000Z","metadata":{}}
 */
const HEAD = Buffer.from('{"event_id":"')
const AFTER_ID = Buffer.from('","user_id":')
const AFTER_USER = Buffer.from(',"timestamp":"')
const AFTER_TIMESTAMP = Buffer.from('","received_at":"')
const AFTER_RECEIVED = Buffer.from('","metadata":')

const DATE_LENGTH = 10
const TIMESTAMP_LENGTH = 27
/** Any integer with this many digits is exact as a JavaScript number. */
const EXACT_DIGITS = 15

/** The row of a canonical record. Undefined for any other record, which may be valid in another form. Pure. */
export function decodeCanonical(value: Buffer): EventRow | undefined {
  const end = value.length - 1
  if (!matches(value, 0, HEAD)) return undefined
  const id = HEAD.length
  if (!isUuid(value, id, id + UUID_BYTES) || !matches(value, id + UUID_BYTES, AFTER_ID)) return undefined

  const user = id + UUID_BYTES + AFTER_ID.length
  const userEnd = integerEnd(value, user)
  if (userEnd < 0 || !matches(value, userEnd, AFTER_USER)) return undefined

  const timestamp = userEnd + AFTER_USER.length
  const received = timestamp + TIMESTAMP_LENGTH + AFTER_TIMESTAMP.length
  if (!matches(value, timestamp + TIMESTAMP_LENGTH, AFTER_TIMESTAMP)) return undefined
  if (!matches(value, received + TIMESTAMP_LENGTH, AFTER_RECEIVED)) return undefined
  const metadata = received + TIMESTAMP_LENGTH + AFTER_RECEIVED.length
  if (value[metadata] !== 0x7b || value[end] !== 0x7d || value[end - 1] !== 0x7d) return undefined
  if (mayBeDeep(value, metadata, end)) return undefined

  const isDated = isTime(value, timestamp, dates) && isTime(value, received, receivedDates)
  return isDated && isUtf8(value) ? new CanonicalRow(value, userEnd) : undefined
}

/**
 * A row whose fields are read from the record when it is written. Until then, which is long for the garbage collector
 * after a large fetch, it takes one object instead of eight.
 */
class CanonicalRow implements EventRow {
  readonly #value: Buffer
  readonly #userEnd: number

  constructor(value: Buffer, userEnd: number) {
    this.#value = value
    this.#userEnd = userEnd
  }

  get eventId(): string {
    return this.#value.toString('latin1', HEAD.length, HEAD.length + UUID_BYTES)
  }

  get userId(): number {
    return integerAt(this.#value, HEAD.length + UUID_BYTES + AFTER_ID.length, this.#userEnd)
  }

  get timestamp(): number {
    return microsAt(this.#value, this.#userEnd + AFTER_USER.length, dates)
  }

  get receivedAt(): number {
    return microsAt(this.#value, this.#received, receivedDates)
  }

  get metadata(): Buffer {
    const start = this.#received + TIMESTAMP_LENGTH + AFTER_RECEIVED.length
    return this.#value.subarray(start, this.#value.length - 1)
  }

  get #received(): number {
    return this.#userEnd + AFTER_USER.length + TIMESTAMP_LENGTH + AFTER_TIMESTAMP.length
  }
}

function matches(value: Buffer, start: number, text: Buffer): boolean {
  for (let i = 0; i < text.length; i++) if (value[start + i] !== text[i]) return false
  return true
}

/** Whether the metadata may exceed MAX_DEPTH, which PostgreSQL does not check. May be true for metadata that do not. */
function mayBeDeep(value: Buffer, start: number, end: number): boolean {
  if (end - start <= 2 * MAX_DEPTH) return false
  let opening = 0
  for (let i = start; i < end; i++) if (value[i] === 0x7b || value[i] === 0x5b) opening += 1
  return opening > MAX_DEPTH
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

/** Caches the last date, because consecutive records usually have the same one. */
class DateCache {
  readonly #text = Buffer.alloc(DATE_LENGTH)
  #micros = Number.NaN

  /** Microseconds from 2000-01-01 to the start of the date at `start`; NaN if it is invalid. */
  micros(value: Buffer, start: number): number {
    if (!matches(value, start, this.#text)) this.#read(value.subarray(start, start + DATE_LENGTH))
    return this.#micros
  }

  #read(date: Buffer): void {
    const text = `${date.toString('latin1')}T00:00:00.000000Z`
    this.#micros = isCanonicalTimestamp(text) ? Number(toPostgresMicros(text)) : Number.NaN
    date.copy(this.#text)
  }
}

const dates = new DateCache()
const receivedDates = new DateCache()

function isTime(value: Buffer, start: number, known: DateCache): boolean {
  return Number.isSafeInteger(microsAt(value, start, known))
}

/** `YYYY-MM-DDTHH:MM:SS.ffffffZ` as microseconds since 2000. NaN if invalid; not a safe integer if too far away. */
function microsAt(value: Buffer, start: number, known: DateCache): number {
  const hasShape =
    value[start + 10] === 0x54 &&
    value[start + 13] === 0x3a &&
    value[start + 16] === 0x3a &&
    value[start + 19] === 0x2e &&
    value[start + 26] === 0x5a
  const hours = digitsAt(value, start + 11, 2)
  const minutes = digitsAt(value, start + 14, 2)
  const seconds = digitsAt(value, start + 17, 2)
  if (!(hasShape && hours <= 23 && minutes <= 59 && seconds <= 59)) return Number.NaN
  const ofDay = (hours * 60 + minutes) * 60 + seconds
  return known.micros(value, start) + ofDay * 1_000_000 + digitsAt(value, start + 20, 6)
}

/** Decimal digits as a number; NaN if any of them is not a digit. */
function digitsAt(value: Buffer, start: number, count: number): number {
  let number = 0
  for (let i = start; i < start + count; i++) {
    const digit = value[i]! - 0x30
    if (!(digit >= 0 && digit <= 9)) return Number.NaN
    number = number * 10 + digit
  }
  return number
}

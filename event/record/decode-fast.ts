/**
 * The fast path of decode.ts: recognizes a record written by the API (encode.ts) from its bytes, and finds the fields at
 * their known positions. It does not parse the metadata. PostgreSQL parses them anyway, and if it refuses them, the
 * general decoder decodes the record again to find out why (decodeAgain() in decode.ts).
 *
 * This is only an optimization: the general decoder reads these records the same way.
 */
import { isUtf8 } from 'node:buffer'
import { isSafeInteger, isUuid, UUID_BYTES } from '../canonical-bytes.ts'
import type { EventRow, Int8 } from '../fields.ts'
import { skipDigits } from '../json/tokens.ts'
import { MAX_DEPTH } from '../limits.ts'
import { TIMESTAMP_BYTES, TimestampReader } from '../timestamp.ts'
import {
  BEFORE_EVENT_ID,
  BEFORE_METADATA,
  BEFORE_RECEIVED_AT,
  BEFORE_TIMESTAMP,
  BEFORE_USER_ID,
  END,
  EVENT_ID_AT,
  USER_ID_AT,
} from './layout.ts'
import { checkWithout } from './sent-check.ts'

/** Any integer with this many digits is exact as a JavaScript number. */
const EXACT_DIGITS = 15

/** The row of a canonical record. Undefined for any other record, which may be valid in another form. Pure. */
export function decodeCanonical(value: Buffer): EventRow | undefined {
  if (!matches(value, 0, BEFORE_EVENT_ID) || !isUuid(value, EVENT_ID_AT, EVENT_ID_AT + UUID_BYTES))
    return undefined
  if (!matches(value, EVENT_ID_AT + UUID_BYTES, BEFORE_USER_ID)) return undefined
  const userEnd = integerEnd(value, USER_ID_AT)
  if (userEnd < 0 || !matches(value, userEnd, BEFORE_TIMESTAMP)) return undefined
  if (!matches(value, timestampAt(userEnd) + TIMESTAMP_BYTES, BEFORE_RECEIVED_AT)) return undefined
  if (!matches(value, receivedAt(userEnd) + TIMESTAMP_BYTES, BEFORE_METADATA)) return undefined

  const metadata = metadataAt(userEnd)
  const end = value.length - 1
  if (value[metadata] !== 0x7b || value[end - 1] !== 0x7d || value[end] !== END) return undefined
  if (mayBeDeep(value, metadata, end)) return undefined

  const timestampMicros = timestamps.micros(value, timestampAt(userEnd))
  const receivedMicros = receivedAts.micros(value, receivedAt(userEnd))
  const isExact = Number.isSafeInteger(timestampMicros) && Number.isSafeInteger(receivedMicros)
  return isExact && isUtf8(value) ? new CanonicalRow(value, userEnd) : undefined
}

// Where the values stand that follow user_id.
const timestampAt = (userEnd: number): number => userEnd + BEFORE_TIMESTAMP.length
const receivedAt = (userEnd: number): number =>
  timestampAt(userEnd) + TIMESTAMP_BYTES + BEFORE_RECEIVED_AT.length
const metadataAt = (userEnd: number): number => receivedAt(userEnd) + TIMESTAMP_BYTES + BEFORE_METADATA.length

/** Each keeps the last date of its field. */
const timestamps = new TimestampReader()
const receivedAts = new TimestampReader()

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
    return this.#value.toString('latin1', EVENT_ID_AT, EVENT_ID_AT + UUID_BYTES)
  }

  get userId(): number {
    return integerAt(this.#value, USER_ID_AT, this.#userEnd)
  }

  get timestamp(): number {
    return timestamps.micros(this.#value, timestampAt(this.#userEnd))
  }

  get receivedAt(): number {
    return receivedAts.micros(this.#value, receivedAt(this.#userEnd))
  }

  get sentCheck(): Int8 {
    // From the end of the timestamp's value to the end of received_at's.
    const timestampEnd = timestampAt(this.#userEnd) + TIMESTAMP_BYTES
    return checkWithout(this.#value, timestampEnd, receivedAt(this.#userEnd) + TIMESTAMP_BYTES)
  }

  get metadata(): Buffer {
    return this.#value.subarray(metadataAt(this.#userEnd), this.#value.length - 1)
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

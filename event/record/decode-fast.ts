/**
 * The fast path of decode.ts: recognizes a record written by the API (encode.ts) from its bytes, and finds the fields at
 * their known positions. It does not parse the metadata. PostgreSQL parses them anyway, and if it refuses them, the
 * general decoder decodes the record again to find out why (decodeAgain() in decode.ts).
 *
 * This is only an optimization: the general decoder reads these records the same way.
 */
import { isUtf8 } from 'node:buffer'
import { isSafeInteger, isUuid, UUID_BYTES } from '../canonical-bytes.ts'
import { type EventRow, ID_CHARACTERS, type Int8, type UserIdType } from '../fields.ts'
import { parseInet } from '../inet.ts'
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
  SENT_TEXTS,
  SET_TEXTS,
  TIMESTAMP_AFTER_ID,
  USER_ID_AT,
} from './layout.ts'
import { checkWithout } from './sent-check.ts'

/** Any integer with this many digits is exact as a JavaScript number. */
const EXACT_DIGITS = 15
const AFTER_ID = EVENT_ID_AT + UUID_BYTES
const QUOTE = 0x22

const TEXT_KEYS = [...SENT_TEXTS, ...SET_TEXTS].map(({ key }) => key)
const ANONYMOUS_ID = TEXT_KEYS.indexOf('anonymousId')
const EVENT_NAME = TEXT_KEYS.indexOf('eventName')
const EVENT_TYPE = TEXT_KEYS.indexOf('eventType')
const SESSION_ID = TEXT_KEYS.indexOf('sessionId')
const SOURCE = TEXT_KEYS.indexOf('source')
const IP_ADDRESS = TEXT_KEYS.indexOf('ipAddress')
const USER_AGENT = TEXT_KEYS.indexOf('userAgent')

/** The row of a canonical record. Undefined for any other record, which may be valid in another form. Pure. */
export function decodeCanonical(value: Buffer, userIdType: UserIdType): EventRow | undefined {
  if (!matches(value, 0, BEFORE_EVENT_ID) || !isUuid(value, EVENT_ID_AT, AFTER_ID)) return undefined
  let userEnd = AFTER_ID
  let time = AFTER_ID + TIMESTAMP_AFTER_ID.length
  if (!matches(value, AFTER_ID, TIMESTAMP_AFTER_ID)) {
    if (!matches(value, AFTER_ID, BEFORE_USER_ID)) return undefined
    userEnd = userIdType === 'bigint' ? integerEnd(value, USER_ID_AT) : quotedEnd(value, USER_ID_AT)
    if (userEnd < 0 || !matches(value, userEnd, BEFORE_TIMESTAMP)) return undefined
    time = userEnd + BEFORE_TIMESTAMP.length
  }
  let texts: number[] | undefined
  let sentEnd = time + TIMESTAMP_BYTES
  if (!matches(value, sentEnd, BEFORE_RECEIVED_AT)) {
    texts = []
    sentEnd = readTexts(value, sentEnd, SENT_TEXTS, texts)
    if (sentEnd < 0 || !matches(value, sentEnd, BEFORE_RECEIVED_AT)) return undefined
  }
  if (userEnd === AFTER_ID && (texts === undefined || texts[2 * ANONYMOUS_ID] === 0)) return undefined // no anonymous_id either
  const received = sentEnd + BEFORE_RECEIVED_AT.length
  let setEnd = received + TIMESTAMP_BYTES
  let address: Buffer | undefined
  if (!matches(value, setEnd, BEFORE_METADATA)) {
    texts ??= SENT_TEXTS.flatMap(() => [0, 0])
    setEnd = readTexts(value, setEnd, SET_TEXTS, texts)
    if (setEnd < 0 || !matches(value, setEnd, BEFORE_METADATA)) return undefined
    if (texts[2 * IP_ADDRESS]! > 0) {
      address = parseInet(value.toString('latin1', texts[2 * IP_ADDRESS], texts[2 * IP_ADDRESS + 1]))
      if (address === undefined) return undefined
    }
  }

  const metadata = setEnd + BEFORE_METADATA.length
  const end = value.length - 1
  if (value[metadata] !== 0x7b || value[end - 1] !== 0x7d || value[end] !== END) return undefined
  if (mayBeDeep(value, metadata, end)) return undefined

  const timestampMicros = timestamps.micros(value, time)
  const receivedMicros = receivedAts.micros(value, received)
  const isExact = Number.isSafeInteger(timestampMicros) && Number.isSafeInteger(receivedMicros)
  if (!isExact || !isUtf8(value)) return undefined
  return new CanonicalRow(value, { userEnd, time, sentEnd, received, setEnd, metadata, texts, address })
}

/** Each keeps the last date of its field. */
const timestamps = new TimestampReader()
const receivedAts = new TimestampReader()

/** Offsets in a canonical record. */
interface Places {
  /** After the value of user_id; AFTER_ID without one. */
  userEnd: number
  time: number
  /** After the value of the last field that a client sent, before its quote. */
  sentEnd: number
  received: number
  /** After the value of the last field that the API set, before its quote. */
  setEnd: number
  metadata: number
  /** For each text, first SENT_TEXTS, then SET_TEXTS, its start and its end; both are 0 if it is absent. */
  texts: readonly number[] | undefined
  address: Buffer | undefined
}

/**
 * A row whose fields are read from the record when it is written. Until then, which is long for the garbage collector
 * after a large fetch, it takes one object instead of eight.
 */
class CanonicalRow implements EventRow {
  readonly #value: Buffer
  readonly #userEnd: number
  readonly #time: number
  readonly #sentEnd: number
  readonly #received: number
  readonly #setEnd: number
  readonly #metadata: number
  readonly #texts: readonly number[] | undefined
  readonly ipAddress: Buffer | undefined

  constructor(value: Buffer, places: Places) {
    this.#value = value
    this.#userEnd = places.userEnd
    this.#time = places.time
    this.#sentEnd = places.sentEnd
    this.#received = places.received
    this.#setEnd = places.setEnd
    this.#metadata = places.metadata
    this.#texts = places.texts
    this.ipAddress = places.address
  }

  get eventId(): string {
    return this.#value.toString('latin1', EVENT_ID_AT, AFTER_ID)
  }
  get userId(): number | Buffer | undefined {
    if (this.#userEnd === AFTER_ID) return undefined
    if (this.#value[USER_ID_AT] === QUOTE) return this.#value.subarray(USER_ID_AT + 1, this.#userEnd - 1)
    return integerAt(this.#value, USER_ID_AT, this.#userEnd)
  }
  get timestamp(): number {
    return timestamps.micros(this.#value, this.#time)
  }
  get anonymousId(): Buffer | undefined {
    return this.#text(ANONYMOUS_ID)
  }
  get eventName(): Buffer | undefined {
    return this.#text(EVENT_NAME)
  }
  get eventType(): Buffer | undefined {
    return this.#text(EVENT_TYPE)
  }
  get sessionId(): Buffer | undefined {
    return this.#text(SESSION_ID)
  }
  get source(): Buffer | undefined {
    return this.#text(SOURCE)
  }
  get receivedAt(): number {
    return receivedAts.micros(this.#value, this.#received)
  }
  get userAgent(): Buffer | undefined {
    return this.#text(USER_AGENT)
  }
  get metadata(): Buffer {
    return this.#value.subarray(this.#metadata, this.#value.length - 1)
  }
  get sentCheck(): Int8 {
    return checkWithout(this.#value, this.#sentEnd, this.#setEnd)
  }
  get variableBytes(): number {
    let bytes = this.#value.length - 1 - this.#metadata
    if (this.#value[USER_ID_AT] === QUOTE) bytes += this.#userEnd - USER_ID_AT
    const texts = this.#texts
    if (texts === undefined) return bytes
    for (let n = 0; n < texts.length; n += 2) if (n !== 2 * IP_ADDRESS) bytes += texts[n + 1]! - texts[n]!
    return bytes + (this.ipAddress?.length ?? 0)
  }

  #text(n: number): Buffer | undefined {
    const texts = this.#texts
    return texts === undefined || !texts[2 * n]
      ? undefined
      : this.#value.subarray(texts[2 * n], texts[2 * n + 1])
  }
}

/**
 * Reads the texts that stand at `start`, in their order, and adds the start and the end of each to `places`.
 *
 * @returns the offset after the value of the last one, or -1 if one is not in the expected form
 */
function readTexts(value: Buffer, start: number, fields: typeof SENT_TEXTS, places: number[]): number {
  let at = start
  for (const { before, characters } of fields) {
    if (!matches(value, at, before)) {
      places.push(0, 0)
      continue
    }
    const from = at + before.length
    at = plainTextEnd(value, from, characters)
    if (at < 0) return -1
    places.push(from, at)
  }
  return at
}

/** The offset of the quote that ends a string of 1 to `most` bytes without escapes, or -1. */
function plainTextEnd(value: Buffer, start: number, most: number): number {
  const last = Math.min(start + most, value.length - 1)
  let at = start
  while (at <= last) {
    const byte = value[at]!
    if (byte === QUOTE) return at > start ? at : -1
    if (byte === 0x5c || byte < 0x20) return -1
    at++
  }
  return -1
}

/** The offset after a user_id of USER_ID_TYPE=text with its quotes, or -1. */
function quotedEnd(value: Buffer, start: number): number {
  const end = value[start] === QUOTE ? plainTextEnd(value, start + 1, ID_CHARACTERS) : -1
  return end < 0 ? -1 : end + 1
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

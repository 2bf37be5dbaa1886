/** The part of decode-fast.ts for canonical records that have optional fields, or no user_id. */
import { UUID_BYTES } from '../canonical-bytes.ts'
import type { EventRow, RowTexts } from '../fields.ts'
import type { Int8 } from '../kinds.ts'
import { INET_BYTES, parseInet } from '../inet.ts'
import { TIMESTAMP_BYTES } from '../timestamp.ts'
import {
  isStorable,
  matches,
  plainTextEnd,
  receivedAts,
  timestamps,
  userIdAt,
  userIdBytes,
  userTextEnd,
} from './canonical-values.ts'
import {
  BEFORE_METADATA,
  BEFORE_RECEIVED_AT,
  BEFORE_TIMESTAMP,
  EVENT_ID_AT,
  SENT_TEXTS,
  SET_TEXTS,
  TIMESTAMP_AFTER_ID,
  USER_ID_AT,
} from './layout.ts'
import { checkWithout } from './sent-check.ts'

/** In place of the offset after user_id, of a record without one. */
export const NO_USER = -1

const FIELDS = [...SENT_TEXTS, ...SET_TEXTS]
const ANONYMOUS_ID = FIELDS.findIndex(({ key }) => key === 'anonymousId')
const SOURCE = FIELDS.findIndex(({ key }) => key === 'source')
const KEY_LABEL = FIELDS.findIndex(({ key }) => key === 'keyLabel')
const IP_ADDRESS = FIELDS.findIndex(({ key }) => key === 'ipAddress')
const USER_AGENT = FIELDS.findIndex(({ key }) => key === 'userAgent')

// The place of a record's values. Only their lengths are kept with a row: an array of places for each row would cost the
// garbage collector more than finding them again.
let timestampAt = 0
/** After the value of the last field that a client sent, before its quote. */
let sentEnd = 0
let receivedAt = 0
/** After the value of the last field that the API set, before its quote. */
let setEnd = 0
let metadataAt = 0
/** The start and the end of each field; equal if it is absent. A source that is absent is where the label of the key is. */
const starts = FIELDS.map(() => 0)
const ends = FIELDS.map(() => 0)

/**
 * The row of a canonical record, or undefined. Pure.
 *
 * @param userEnd the offset after user_id, up to which the record was checked, or NO_USER
 */
export function decodeWithTexts(value: Buffer, userEnd: number): EventRow | undefined {
  if (userEnd === NO_USER && !matches(value, EVENT_ID_AT + UUID_BYTES, TIMESTAMP_AFTER_ID)) return undefined
  placed = undefined
  timestampAt = timestampPlace(userEnd)
  sentEnd = findTexts(value, timestampAt + TIMESTAMP_BYTES, 0, SENT_TEXTS.length)
  if (sentEnd < 0 || !matches(value, sentEnd, BEFORE_RECEIVED_AT)) return undefined
  receivedAt = sentEnd + BEFORE_RECEIVED_AT.length
  setEnd = findTexts(value, receivedAt + TIMESTAMP_BYTES, SENT_TEXTS.length, FIELDS.length)
  if (setEnd < 0 || !matches(value, setEnd, BEFORE_METADATA)) return undefined
  metadataAt = setEnd + BEFORE_METADATA.length
  if (userEnd === NO_USER && lengthOf(ANONYMOUS_ID) === 0) return undefined
  if (lengthOf(IP_ADDRESS) > 0 && addressIn(value) === undefined) return undefined
  if (!isStorable(value, timestampAt, receivedAt, metadataAt)) return undefined
  return new TextRow(value, userEnd)
}

function timestampPlace(userEnd: number): number {
  return userEnd === NO_USER
    ? EVENT_ID_AT + UUID_BYTES + TIMESTAMP_AFTER_ID.length
    : userEnd + BEFORE_TIMESTAMP.length
}

/**
 * Finds the fields `[first, last)` from `start` on, in their order.
 *
 * @returns the offset after the value of the last one, or -1 if one is not in the expected form
 */
function findTexts(value: Buffer, start: number, first: number, last: number): number {
  let at = start
  for (let n = first; n < last; n++) {
    const { before, characters } = FIELDS[n]!
    const isThere = matches(value, at, before)
    starts[n] = isThere ? at + before.length : at
    if (isThere) at = plainTextEnd(value, starts[n]!, characters)
    if (at < 0) return -1
    ends[n] = at
  }
  return at
}

const lengthOf = (n: number): number => ends[n]! - starts[n]!

function addressIn(value: Buffer): Buffer | undefined {
  return parseInet(value.toString('latin1', starts[IP_ADDRESS], ends[IP_ADDRESS]))
}

/** Bits of a length: enough for every field but the User-Agent. */
const BITS = 8
const MASK = 2 ** BITS - 1
/** So many lengths fit into a small integer. */
const LENGTHS = 3

/** The texts of the row that is in place. */
class PlacedTexts implements RowTexts {
  bytes: Buffer = Buffer.alloc(0)
  readonly starts = starts
  readonly ends = ends
}
const placedTexts = new PlacedTexts()
/** The record whose values are in place. */
let placed: Buffer | undefined

/** A row whose fields are read from the record when it is written, as CanonicalRow. */
class TextRow implements EventRow {
  readonly #value: Buffer
  readonly #userEnd: number
  /** The lengths of the first three fields, of the next three, and of the last two. */
  readonly #first: number
  readonly #second: number
  readonly #third: number

  /** The lengths are those of the values in place. */
  constructor(value: Buffer, userEnd: number) {
    this.#value = value
    this.#userEnd = userEnd
    this.#first = packedLengths(0)
    this.#second = packedLengths(LENGTHS)
    this.#third = lengthOf(IP_ADDRESS) | (lengthOf(USER_AGENT) << BITS)
  }

  get eventId(): string {
    return this.#value.toString('latin1', EVENT_ID_AT, EVENT_ID_AT + UUID_BYTES)
  }
  get userId(): number | Buffer | undefined {
    return this.#userEnd === NO_USER ? undefined : userIdAt(this.#value, USER_ID_AT, this.#userEnd)
  }
  get timestamp(): number {
    return timestamps.micros(this.#value, timestampPlace(this.#userEnd))
  }
  get texts(): RowTexts {
    placedTexts.bytes = this.#inPlace()
    return placedTexts
  }
  get receivedAt(): number {
    return receivedAts.micros(this.#inPlace(), receivedAt)
  }
  get ipAddress(): Buffer | undefined {
    const value = this.#inPlace()
    return lengthOf(IP_ADDRESS) === 0 ? undefined : addressIn(value)
  }
  get metadata(): Buffer {
    const value = this.#inPlace()
    return value.subarray(metadataAt, value.length - 1)
  }
  get sentCheck(): Int8 {
    const value = this.#inPlace()
    const textEnd = this.#userEnd === NO_USER ? 0 : userTextEnd(value, USER_ID_AT, this.#userEnd)
    return checkWithout(value, sentEnd, setEnd, textEnd)
  }
  get variableBytes(): number {
    const value = this.#inPlace()
    let bytes = value.length - 1 - metadataAt
    if (this.#userEnd !== NO_USER) bytes += userIdBytes(value, USER_ID_AT, this.#userEnd)
    for (let n = 0; n < FIELDS.length; n++) if (n !== IP_ADDRESS && n !== KEY_LABEL) bytes += lengthOf(n)
    return lengthOf(IP_ADDRESS) === 0 ? bytes : bytes + INET_BYTES
  }

  /** Puts the values in place, unless they are. Returns the record. */
  #inPlace(): Buffer {
    if (placed === this.#value) return placed
    timestampAt = timestampPlace(this.#userEnd)
    sentEnd = placeTexts(timestampAt + TIMESTAMP_BYTES, this.#first, 0, LENGTHS)
    sentEnd = placeTexts(sentEnd, this.#second, LENGTHS, SENT_TEXTS.length)
    receivedAt = sentEnd + BEFORE_RECEIVED_AT.length
    setEnd = placeText(
      KEY_LABEL,
      receivedAt + TIMESTAMP_BYTES,
      this.#second >> (BITS * (KEY_LABEL - LENGTHS)),
    )
    setEnd = placeText(IP_ADDRESS, setEnd, this.#third & MASK)
    setEnd = placeText(USER_AGENT, setEnd, this.#third >> BITS)
    if (lengthOf(SOURCE) === 0) {
      starts[SOURCE] = starts[KEY_LABEL]!
      ends[SOURCE] = ends[KEY_LABEL]!
    }
    metadataAt = setEnd + BEFORE_METADATA.length
    placed = this.#value
    return placed
  }
}

function packedLengths(first: number): number {
  return lengthOf(first) | (lengthOf(first + 1) << BITS) | (lengthOf(first + 2) << (2 * BITS))
}

/** Places the fields `[first, last)` from `start` on. Returns the offset after the last one. */
function placeTexts(start: number, lengths: number, first: number, last: number): number {
  let at = start
  for (let n = first, rest = lengths; n < last; n++, rest >>= BITS) at = placeText(n, at, rest & MASK)
  return at
}

function placeText(n: number, at: number, length: number): number {
  const start = length === 0 ? at : at + FIELDS[n]!.before.length
  starts[n] = start
  ends[n] = start + length
  return start + length
}

/**
 * The fast path from a scanned event to its record: fields that already have their canonical form in the body are
 * recognized from their bytes and copied without creating strings.
 *
 * This is only an optimization: validate.ts and encode.ts produce the same records.
 */
import { isSafeInteger, isUuid, UUID_BYTES } from '../canonical-bytes.ts'
import {
  ANONYMOUS_ID,
  type CanonicalEvent,
  EVENT_ID,
  fieldOf,
  METADATA,
  TIMESTAMP,
  USER_ID,
} from '../fields.ts'
import { ID_CHARACTERS, type UserIdType } from '../kinds.ts'
import { type JsonScan, KIND_OBJECT, KIND_STRING } from '../json/scan-result.ts'
import { isUtcTimestamp, SECONDS_BYTES } from '../timestamp.ts'
import {
  BEFORE_EVENT_ID,
  BEFORE_TIMESTAMP,
  BEFORE_USER_ID,
  END,
  SENT_TEXTS,
  SHORTEST_BYTES,
  TIMESTAMP_AFTER_ID,
  USER_ID_BYTES,
} from './layout.ts'

/** Completes a timestamp after its seconds or its fraction. */
const REST_OF_TIME = Buffer.from('.000000Z')
const ABSENT = -1

/** The member of each field, or ABSENT. Of the texts, by their number in SENT_TEXTS; undefined without any. */
interface Members {
  id: number
  user: number
  time: number
  metadata: number
  texts: number[] | undefined
}

/** An event as the positions of its fields in the body, which must not change while the event is in use. */
export class EventSlices implements CanonicalEvent {
  readonly #body: Buffer
  readonly #id: number
  /** The start and the end are equal without user_id. */
  readonly #user: number
  readonly #userEnd: number
  /** The timestamp without `Z` and quotes. */
  readonly #time: number
  readonly #timeEnd: number
  readonly #metadata: number
  readonly #metadataEnd: number
  /** For each text its start and its end, without quotes; equal if it is absent. Undefined without any text. */
  readonly #texts: readonly number[] | undefined

  constructor(body: Buffer, scan: JsonScan, { id, user, time, metadata, texts }: Members) {
    this.#body = body
    this.#id = scan.valueStart[id]! + 1
    this.#user = user === ABSENT ? 0 : scan.valueStart[user]!
    this.#userEnd = user === ABSENT ? 0 : scan.valueEnd[user]!
    this.#time = scan.valueStart[time]! + 1
    this.#timeEnd = scan.valueEnd[time]! - 2
    this.#metadata = scan.valueStart[metadata]!
    this.#metadataEnd = scan.valueEnd[metadata]!
    this.#texts = texts?.flatMap((i) =>
      i === ABSENT ? [0, 0] : [scan.valueStart[i]! + 1, scan.valueEnd[i]! - 1],
    )
  }

  get eventId(): string {
    return this.#text(this.#id, this.#id + UUID_BYTES)
  }
  get userId(): string | undefined {
    return this.#user === this.#userEnd ? undefined : this.#text(this.#user, this.#userEnd)
  }
  get timestamp(): string {
    const text = this.#text(this.#time, this.#timeEnd)
    return text + REST_OF_TIME.toString('latin1', text.length - SECONDS_BYTES)
  }
  get metadata(): Buffer {
    return this.#body.subarray(this.#metadata, this.#metadataEnd)
  }

  /** Length of the record, without what the API sets. */
  get sentBytes(): number {
    let bytes = SHORTEST_BYTES + this.#metadataEnd - this.#metadata
    if (this.#userEnd > this.#user) bytes += USER_ID_BYTES + this.#userEnd - this.#user
    const texts = this.#texts
    if (texts === undefined) return bytes
    for (let k = 0; k < SENT_TEXTS.length; k++) {
      const length = texts[2 * k + 1]! - texts[2 * k]!
      if (length > 0) bytes += SENT_TEXTS[k]!.before.length + length
    }
    return bytes
  }

  /**
   * Writes the record at `start` and returns the offset after it.
   *
   * @param middle the bytes between the values of the last sent text, or timestamp, and metadata
   */
  writeRecord(record: Buffer, start: number, middle: Buffer): number {
    const body = this.#body
    let at = copy(BEFORE_EVENT_ID, 0, BEFORE_EVENT_ID.length, record, start)
    at = copy(body, this.#id, this.#id + UUID_BYTES, record, at)
    if (this.#userEnd > this.#user) {
      at = copy(BEFORE_USER_ID, 0, BEFORE_USER_ID.length, record, at)
      at = copy(body, this.#user, this.#userEnd, record, at)
      at = copy(BEFORE_TIMESTAMP, 0, BEFORE_TIMESTAMP.length, record, at)
    } else at = copy(TIMESTAMP_AFTER_ID, 0, TIMESTAMP_AFTER_ID.length, record, at)
    at = copy(body, this.#time, this.#timeEnd, record, at)
    at = copy(REST_OF_TIME, this.#timeEnd - this.#time - SECONDS_BYTES, REST_OF_TIME.length, record, at)
    if (this.#texts !== undefined) at = this.#writeTexts(this.#texts, record, at)
    at = copy(middle, 0, middle.length, record, at)
    at += body.copy(record, at, this.#metadata, this.#metadataEnd)
    record[at++] = END
    return at
  }

  #writeTexts(texts: readonly number[], record: Buffer, start: number): number {
    let at = start
    for (let k = 0; k < SENT_TEXTS.length; k++) {
      const from = texts[2 * k]!
      const to = texts[2 * k + 1]!
      if (from === to) continue
      const { before } = SENT_TEXTS[k]!
      at = copy(before, 0, before.length, record, at)
      at = copy(this.#body, from, to, record, at)
    }
    return at
  }

  #text(start: number, end: number): string {
    return this.#body.toString('utf8', start, end)
  }
}

/** The event in `scan`, or undefined if any of its fields is invalid or not in the expected form. */
export function sliceEvent(body: Buffer, scan: JsonScan, userIdType: UserIdType): EventSlices | undefined {
  if (scan.faults.length > 0) return undefined
  const members = membersOf(body, scan)
  if (members === undefined) return undefined
  const { id, user, time, metadata, texts } = members
  if (user === ABSENT && (texts === undefined || texts[0] === ABSENT)) return undefined // no anonymous_id either
  // The byte checks imply the kind of the value; only texts and metadata need a check.
  const isCanonical =
    isUuid(body, scan.valueStart[id]! + 1, scan.valueEnd[id]! - 1) &&
    (user === ABSENT || isUserId(body, scan, user, userIdType)) &&
    isUtcTimestamp(body, scan.valueStart[time]! + 1, scan.valueEnd[time]! - 1) &&
    scan.valueKind[metadata] === KIND_OBJECT &&
    (texts === undefined || areTexts(scan, texts))
  return isCanonical ? new EventSlices(body, scan, members) : undefined
}

/** The members of the fields; undefined if one is missing, repeated or unknown. */
function membersOf(body: Buffer, scan: JsonScan): Members | undefined {
  let id = ABSENT
  let user = ABSENT
  let time = ABSENT
  let metadata = ABSENT
  let texts: number[] | undefined
  let count = 0
  for (let i = 0; i < scan.memberCount; i++) {
    const field = fieldOf(body, scan, i)
    if (field === EVENT_ID) id = i
    else if (field === USER_ID) user = i
    else if (field === TIMESTAMP) time = i
    else if (field === METADATA) metadata = i
    else {
      const k = field - ANONYMOUS_ID
      if (k < 0 || k >= SENT_TEXTS.length) return undefined
      texts ??= SENT_TEXTS.map(() => ABSENT)
      if (texts[k] !== ABSENT) return undefined
      texts[k] = i
      count++
    }
  }
  if (id === ABSENT || time === ABSENT || metadata === ABSENT) return undefined
  count += user === ABSENT ? 3 : 4
  return count === scan.memberCount ? { id, user, time, metadata, texts } : undefined
}

function isUserId(body: Buffer, scan: JsonScan, i: number, userIdType: UserIdType): boolean {
  return userIdType === 'bigint'
    ? isSafeInteger(body, scan.valueStart[i]!, scan.valueEnd[i]!)
    : isPlainText(scan, i, ID_CHARACTERS)
}

function areTexts(scan: JsonScan, texts: readonly number[]): boolean {
  for (let k = 0; k < texts.length; k++) {
    if (texts[k] !== ABSENT && !isPlainText(scan, texts[k]!, SENT_TEXTS[k]!.characters)) return false
  }
  return true
}

/** Whether member `i` is a string that is canonical as it is, and surely has at most `max` characters. */
function isPlainText(scan: JsonScan, i: number, max: number): boolean {
  const bytes = scan.valueEnd[i]! - scan.valueStart[i]! - 2
  return scan.valueKind[i] === KIND_STRING && scan.valueIsEscaped[i] === 0 && bytes > 0 && bytes <= max
}

/** Copies a few bytes faster than Buffer.copy(). Returns the offset after the copy. */
function copy(from: Buffer, start: number, end: number, to: Buffer, at: number): number {
  for (let i = start; i < end; i++) to[at++] = from[i]!
  return at
}

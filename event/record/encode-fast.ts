/**
 * The fast path from a scanned event to its record: fields that already have their canonical form in the body are
 * recognized from their bytes and copied without creating strings.
 *
 * This is only an optimization: validate.ts and encode.ts produce the same records.
 */
import { isSafeInteger, isUuid, UUID_BYTES } from '../canonical-bytes.ts'
import { type CanonicalEvent, EVENT_ID, fieldOf, METADATA, TIMESTAMP, USER_ID } from '../fields.ts'
import { type JsonScan, KIND_OBJECT } from '../json/scan-result.ts'
import { isUtcTimestamp, SECONDS_BYTES } from '../timestamp.ts'
import { BEFORE_EVENT_ID, BEFORE_TIMESTAMP, BEFORE_USER_ID, END, USUAL_BYTES } from './layout.ts'

/** Completes a timestamp after its seconds or its fraction. */
const REST_OF_TIME = Buffer.from('.000000Z')

/** An event as the positions of its fields in the body, which must not change while the event is in use. */
export class EventSlices implements CanonicalEvent {
  readonly #body: Buffer
  readonly #id: number
  readonly #user: number
  readonly #userEnd: number
  /** The timestamp without `Z` and quotes. */
  readonly #time: number
  readonly #timeEnd: number
  readonly #metadata: number
  readonly #metadataEnd: number

  /** The last four parameters are member indexes of the scanned object. */
  constructor(body: Buffer, scan: JsonScan, id: number, user: number, time: number, metadata: number) {
    this.#body = body
    this.#id = scan.valueStart[id]! + 1
    this.#user = scan.valueStart[user]!
    this.#userEnd = scan.valueEnd[user]!
    this.#time = scan.valueStart[time]! + 1
    this.#timeEnd = scan.valueEnd[time]! - 2
    this.#metadata = scan.valueStart[metadata]!
    this.#metadataEnd = scan.valueEnd[metadata]!
  }

  get eventId(): string {
    return this.#text(this.#id, this.#id + UUID_BYTES)
  }
  get userId(): string {
    return this.#text(this.#user, this.#userEnd)
  }
  get timestamp(): string {
    const text = this.#text(this.#time, this.#timeEnd)
    return text + REST_OF_TIME.toString('latin1', text.length - SECONDS_BYTES)
  }
  get metadata(): Buffer {
    return this.#body.subarray(this.#metadata, this.#metadataEnd)
  }

  /** Length of the record. */
  get recordBytes(): number {
    return USUAL_BYTES + this.#userEnd - this.#user + this.#metadataEnd - this.#metadata
  }

  /**
   * Writes the record at `start` and returns the offset after it.
   *
   * @param middle the bytes between the values of timestamp and metadata
   */
  writeRecord(record: Buffer, start: number, middle: Buffer): number {
    const body = this.#body
    let at = copy(BEFORE_EVENT_ID, 0, BEFORE_EVENT_ID.length, record, start)
    at = copy(body, this.#id, this.#id + UUID_BYTES, record, at)
    at = copy(BEFORE_USER_ID, 0, BEFORE_USER_ID.length, record, at)
    at = copy(body, this.#user, this.#userEnd, record, at)
    at = copy(BEFORE_TIMESTAMP, 0, BEFORE_TIMESTAMP.length, record, at)
    at = copy(body, this.#time, this.#timeEnd, record, at)
    at = copy(REST_OF_TIME, this.#timeEnd - this.#time - SECONDS_BYTES, REST_OF_TIME.length, record, at)
    at = copy(middle, 0, middle.length, record, at)
    at += body.copy(record, at, this.#metadata, this.#metadataEnd)
    record[at++] = END
    return at
  }

  #text(start: number, end: number): string {
    return this.#body.toString('latin1', start, end)
  }
}

/** The event in `scan`, or undefined if any of its fields is invalid or not in the expected form. */
export function sliceEvent(body: Buffer, scan: JsonScan): EventSlices | undefined {
  if (scan.memberCount !== 4 || scan.faults.length > 0) return undefined
  let id = -1
  let user = -1
  let time = -1
  let metadata = -1
  for (let i = 0; i < 4; i++) {
    const field = fieldOf(body, scan, i)
    if (field === EVENT_ID) id = i
    else if (field === USER_ID) user = i
    else if (field === TIMESTAMP) time = i
    else if (field === METADATA) metadata = i
  }
  // Four members for four fields: none is missing, repeated or unknown.
  if (id < 0 || user < 0 || time < 0 || metadata < 0) return undefined
  // The byte checks imply the kind of the value; only metadata needs a check.
  const isCanonical =
    isUuid(body, scan.valueStart[id]! + 1, scan.valueEnd[id]! - 1) &&
    isSafeInteger(body, scan.valueStart[user]!, scan.valueEnd[user]!) &&
    isUtcTimestamp(body, scan.valueStart[time]! + 1, scan.valueEnd[time]! - 1) &&
    scan.valueKind[metadata] === KIND_OBJECT
  return isCanonical ? new EventSlices(body, scan, id, user, time, metadata) : undefined
}

/** Copies a few bytes faster than Buffer.copy(). Returns the offset after the copy. */
function copy(from: Buffer, start: number, end: number, to: Buffer, at: number): number {
  for (let i = start; i < end; i++) to[at++] = from[i]!
  return at
}

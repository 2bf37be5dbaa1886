/**
 * The bytes of a record that the API writes, once: the fields of the table in their order, without white space.
 *
 *     {"event_id":"00000000-0000-7000-8000-000000000000","user_id":1,"timestamp":"2026-01-01T00:00:00.000000Z",
 *     "received_at":"2026-01-01T00:00:00.000000Z","metadata":{}}
 *
 * A field that an event lacks is left out. Those five are the usual ones: both fast paths know them by what stands
 * between their values.
 */
import { UUID_BYTES } from '../canonical-bytes.ts'
import { EVENT_ID, type Field, FIELDS, METADATA, RECEIVED_AT, TIMESTAMP, USER_ID } from '../fields.ts'
import { TIMESTAMP_BYTES } from '../timestamp.ts'

/** What stands before the value of a field: its name, a comma if it is not the first, and the quote of a string. */
export function before({ name, kind }: Field): string {
  return `${name === FIELDS[0].name ? '{' : ','}"${name}":${quote(kind)}`
}

/** What stands after the value of a field: the quote of a string. */
export function quote({ isQuoted }: Field['kind']): string {
  return isQuoted ? '"' : ''
}

/** Between two of the usual fields. */
function between(first: number, second: number): Buffer {
  return Buffer.from(quote(FIELDS[first]!.kind) + before(FIELDS[second]!))
}

export const BEFORE_EVENT_ID = Buffer.from(before(FIELDS[EVENT_ID]!))
export const BEFORE_USER_ID = between(EVENT_ID, USER_ID)
export const BEFORE_TIMESTAMP = between(USER_ID, TIMESTAMP)
export const BEFORE_RECEIVED_AT = between(TIMESTAMP, RECEIVED_AT)
export const BEFORE_METADATA = between(RECEIVED_AT, METADATA)
export const END = 0x7d

/** Offsets of the values whose place is fixed. */
export const EVENT_ID_AT = BEFORE_EVENT_ID.length
export const USER_ID_AT = EVENT_ID_AT + UUID_BYTES + BEFORE_USER_ID.length

/** Length of a record with the usual fields, without the values of user_id and metadata. */
export const USUAL_BYTES =
  USER_ID_AT +
  BEFORE_TIMESTAMP.length +
  TIMESTAMP_BYTES +
  BEFORE_RECEIVED_AT.length +
  TIMESTAMP_BYTES +
  BEFORE_METADATA.length +
  1

/**
 * The bytes of a record that the API writes, once: the fields of the table in their order, without white space.
 *
 *     {"event_id":"00000000-0000-7000-8000-000000000000","user_id":1,"timestamp":"2026-01-01T00:00:00.000000Z",
 *     "event_name":"signup","received_at":"2026-01-01T00:00:00.000000Z","ip_address":"203.0.113.7","metadata":{}}
 *
 * A field that an event lacks is left out. Both fast paths know the fields by what stands between their values. From
 * timestamp to metadata all values are strings, so before each name stands the quote that ends the value before it.
 */
import { UUID_BYTES } from '../canonical-bytes.ts'
import {
  ANONYMOUS_ID,
  EVENT_ID,
  type Field,
  FIELDS,
  METADATA,
  RECEIVED_AT,
  TIMESTAMP,
  USER_ID,
} from '../fields.ts'
import { TIMESTAMP_BYTES } from '../timestamp.ts'

/** What stands before the value of a field: its name, a comma if it is not the first, and the quote of a string. */
export function before({ name, kind }: Field): string {
  return `${name === FIELDS[0].name ? '{' : ','}"${name}":${quote(kind)}`
}

/** What stands after the value of a field: the quote of a string. */
export function quote({ isQuoted }: Field['kind']): string {
  return isQuoted ? '"' : ''
}

/** Between two fields of which the first is there. */
function between(first: number, second: number): Buffer {
  return Buffer.from(quote(FIELDS[first]!.kind) + before(FIELDS[second]!))
}

export const BEFORE_EVENT_ID = Buffer.from(before(FIELDS[EVENT_ID]!))
export const BEFORE_USER_ID = between(EVENT_ID, USER_ID)
export const BEFORE_TIMESTAMP = between(USER_ID, TIMESTAMP)
/** Without user_id. */
export const TIMESTAMP_AFTER_ID = between(EVENT_ID, TIMESTAMP)
export const BEFORE_RECEIVED_AT = between(TIMESTAMP, RECEIVED_AT)
export const BEFORE_METADATA = between(RECEIVED_AT, METADATA)
export const END = 0x7d

/** An optional field between timestamp and metadata. */
interface TextField {
  readonly key: string
  /** What stands before its value, with the quote that ends the value before. */
  readonly before: Buffer
  /** So many characters it may have, so with as many bytes it surely is not too long. */
  readonly characters: number
}

/** Those that a client sends, in their order; the fields from ANONYMOUS_ID on. */
export const SENT_TEXTS = textFields(FIELDS.slice(ANONYMOUS_ID, RECEIVED_AT))
/** Those that the API sets, after received_at. */
export const SET_TEXTS = textFields(FIELDS.slice(RECEIVED_AT + 1, METADATA))

function textFields(fields: readonly Field[]): readonly TextField[] {
  return fields.map((field) => ({
    key: field.key,
    before: Buffer.from(`"${before(field)}`),
    characters: field.kind.characters ?? 0,
  }))
}

/** Offsets of the values whose place is fixed. */
export const EVENT_ID_AT = BEFORE_EVENT_ID.length
export const USER_ID_AT = EVENT_ID_AT + UUID_BYTES + BEFORE_USER_ID.length
const TIMESTAMP_WITHOUT_USER_AT = EVENT_ID_AT + UUID_BYTES + TIMESTAMP_AFTER_ID.length

/** Length of a record with event_id, timestamp and metadata, without the value of metadata and what the API sets. */
export const SHORTEST_BYTES = TIMESTAMP_WITHOUT_USER_AT + TIMESTAMP_BYTES + 1
/** By how much user_id makes it longer, besides its value. */
export const USER_ID_BYTES = BEFORE_USER_ID.length + BEFORE_TIMESTAMP.length - TIMESTAMP_AFTER_ID.length

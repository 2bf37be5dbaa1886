/** The check of what a client sent, restated, so that verify detects a change in event/record/sent-check.ts. */
import { crc32 } from 'node:zlib'
import type { UserIdType } from './fields-sql.ts'

/** A text as JSON.stringify() writes it, of which each byte was read as a character. */
const TEXT = String.raw`"(?:[^"\\\x00-\x1f]|\\["\\bfnrt]|\\u00(?:0[1-7bef]|1[\da-f]))+"`
const TIME = String.raw`"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"`
const TEXTS = ['anonymous_id', 'event_name', 'event_type', 'session_id', 'source']
/** What the API adds to what was sent. */
const ADDED = `(${optional('received_at', TIME)}${optional('ip_address', '"[\\da-f.:/]+"')}${optional('user_agent', TEXT)})`
const METADATA = Buffer.from('"metadata":{')
/** More than the canonical text before metadata can be long: five texts and a User-Agent, as escapes of 6 bytes. */
const HEAD_BYTES = 16 * 1024

const CANONICAL: Readonly<Record<UserIdType, RegExp>> = {
  bigint: canonicalHead(String.raw`(?:0|-?[1-9]\d*)`),
  text: canonicalHead(TEXT),
}

/** The head of a record in the form that the API writes, with what the API added as its group. */
function canonicalHead(userId: string): RegExp {
  const texts = TEXTS.map((name) => optional(name, TEXT)).join('')
  const fields = `${optional('user_id', userId)},"timestamp":${TIME}${texts}${ADDED},"metadata":\\{`
  return new RegExp(`^\\{"event_id":"[0-9a-f-]{36}"${fields}`, 'd')
}

function optional(name: string, value: string): string {
  return `(?:,"${name}":${value})?`
}

/** The byte length and the CRC-32 of the record without what the API added; undefined if it is in another form. */
export function sentCheck(record: Buffer, userIdType: UserIdType): bigint | undefined {
  // Within a text, its quotes would be escaped.
  const end = record.indexOf(METADATA) + METADATA.length
  if (end > HEAD_BYTES) return undefined
  const found = CANONICAL[userIdType].exec(record.toString('latin1', 0, end))
  const [from, to] = found?.indices?.[1] ?? []
  if (from === undefined || to === undefined) return undefined
  const sent = Buffer.concat([record.subarray(0, from), record.subarray(to)])
  return (BigInt(sent.length) << 32n) + BigInt(crc32(sent))
}

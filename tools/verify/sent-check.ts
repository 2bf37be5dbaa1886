/** The check of what a client sent, restated, so that verify detects a change in event/record/sent-check.ts. */
import { crc32 } from 'node:zlib'

/** A text as JSON.stringify() writes it, of which each byte was read as a character. */
const TEXT = String.raw`"(?:[^"\\\x00-\x1f]|\\["\\bfnrt]|\\u00(?:0[1-7bef]|1[\da-f]))+"`
const TIME = String.raw`"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"`
const TEXTS = ['anonymous_id', 'event_name', 'event_type', 'session_id', 'source']
/** What the API adds to what was sent. */
const ADDED = `(?<added>${optional('received_at', TIME)}${optional('key_label', TEXT)}${optional('ip_address', '"[\\da-f.:/]+"')}${optional('user_agent', TEXT)})`
const METADATA = Buffer.from('"metadata":{')
/** More than the canonical text before metadata can be long: all its texts as escapes of 6 bytes. */
const HEAD_BYTES = 16 * 1024

/** A user_id is an integer or a text, whatever type the column has now. */
const USER_ID = String.raw`(?:,"user_id":(?<user>0|-?[1-9]\d*|${TEXT}))?`

/** The head of a record in the form that the API writes. */
const CANONICAL = new RegExp(
  String.raw`^\{"event_id":"[0-9a-f-]{36}"${USER_ID},"timestamp":${TIME}${TEXTS.map((name) => optional(name, TEXT)).join('')}${ADDED},"metadata":\{`,
  'd',
)

function optional(name: string, value: string): string {
  return `(?:,"${name}":${value})?`
}

/**
 * The byte length and the CRC-32 of the record without what the API added, and without the quotes of a user_id that is an
 * integer; undefined if the record is in another form.
 */
export function sentCheck(record: Buffer): bigint | undefined {
  // Within a text, its quotes would be escaped.
  const end = record.indexOf(METADATA) + METADATA.length
  if (end > HEAD_BYTES) return undefined
  const places = CANONICAL.exec(record.toString('latin1', 0, end))?.indices?.groups
  if (places?.added === undefined) return undefined
  const { user, added } = places
  const quotes = user !== undefined && isQuotedInteger(record.toString('latin1', ...user)) ? user : undefined
  const cuts =
    quotes === undefined ? [added] : [[quotes[0], quotes[0] + 1], [quotes[1] - 1, quotes[1]], added]
  const starts = [0, ...cuts.map(([, to]) => to)]
  const sent = Buffer.concat(starts.map((start, n) => record.subarray(start, cuts[n]?.[0])))
  return (BigInt(sent.length) << 32n) + BigInt(crc32(sent))
}

function isQuotedInteger(text: string): boolean {
  if (!/^"(?:0|-?[1-9]\d{0,18})"$/.test(text)) return false
  const number = BigInt(text.slice(1, -1))
  return BigInt.asIntN(64, number) === number
}

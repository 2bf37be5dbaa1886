/** Identifies the fields of an event in scanned JSON text and reads their canonical text. Used by both services. */
import { canonicalUserId, canonicalUuid } from './fields.ts'
import { type JsonScan, KIND_NUMBER, KIND_STRING } from './json/scan-result.ts'
import { canonicalTimestamp } from './timestamp.ts'

export const FIELD_UNKNOWN = -1
export const FIELD_USER_ID = 0
export const FIELD_TIMESTAMP = 1
export const FIELD_METADATA = 2
export const FIELD_EVENT_ID = 3
/** Only in records; the API refuses it in a request. */
export const FIELD_RECEIVED_AT = 4

/** Names by FIELD_* number. */
export const FIELD_NAMES = ['user_id', 'timestamp', 'metadata', 'event_id', 'received_at'] as const
const NAME_BYTES = FIELD_NAMES.map((name) => Buffer.from(name))
/** FIELD_* by the first byte of the name, which is different for each field. */
const FIELD_BY_FIRST_BYTE = new Int8Array(256).fill(FIELD_UNKNOWN)
for (const [field, name] of NAME_BYTES.entries()) FIELD_BY_FIRST_BYTE[name[0]!] = field

/** The FIELD_* of member `i`, also if its name is escaped. */
export function fieldOf(buf: Buffer, scan: JsonScan, i: number): number {
  if (scan.nameIsEscaped(i)) return (FIELD_NAMES as readonly string[]).indexOf(scan.name(buf, i))
  const start = scan.nameStart(i)
  const field = FIELD_BY_FIRST_BYTE[buf[start]!]!
  if (field === FIELD_UNKNOWN) return FIELD_UNKNOWN
  const name = NAME_BYTES[field]!
  if (scan.nameEnd(i) - start !== name.length) return FIELD_UNKNOWN
  for (let at = 1; at < name.length; at++) if (buf[start + at] !== name[at]) return FIELD_UNKNOWN
  return field
}

/** The canonical user_id in member `i`, or undefined if it is not valid. */
export function readUserId(buf: Buffer, scan: JsonScan, i: number): string | undefined {
  if (scan.valueKind(i) !== KIND_NUMBER) return undefined
  return canonicalUserId(buf.toString('latin1', scan.valueStart(i), scan.valueEnd(i)))
}

/** The canonical timestamp in member `i`, or undefined if it is not valid. */
export function readTimestamp(buf: Buffer, scan: JsonScan, i: number): string | undefined {
  return scan.valueKind(i) === KIND_STRING ? canonicalTimestamp(readAscii(buf, scan, i)) : undefined
}

/** The canonical UUID in member `i`, or undefined if it is not valid. */
export function readUuid(buf: Buffer, scan: JsonScan, i: number): string | undefined {
  return scan.valueKind(i) === KIND_STRING ? canonicalUuid(readAscii(buf, scan, i)) : undefined
}

/** Reads a string that is valid only if it is ASCII: other characters may be garbled, but never become ASCII. */
function readAscii(buf: Buffer, scan: JsonScan, i: number): string {
  if (scan.valueIsEscaped(i)) return scan.string(buf, i)
  return buf.toString('latin1', scan.valueStart(i) + 1, scan.valueEnd(i) - 1)
}

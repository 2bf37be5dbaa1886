import { v5 as uuidV5 } from 'uuid'
import { JsonScan, KIND_OBJECT } from '../json/scan-result.ts'
import {
  FIELD_EVENT_ID,
  FIELD_METADATA,
  FIELD_NAMES,
  FIELD_RECEIVED_AT,
  FIELD_TIMESTAMP,
  FIELD_UNKNOWN,
  FIELD_USER_ID,
  fieldOf,
  readTimestamp,
  readUserId,
  readUuid,
} from '../read-fields.ts'
import { scanText } from '../json/scan.ts'
import { toPostgresMicros } from '../timestamp.ts'
import { decodeCanonical } from './decode-fast.ts'
import type { DeadLetter, Decoded, DecodedRow, EventRow, KafkaRecord, TopicIdentity } from './decoded.ts'

/** The namespace (RFC 9562 section 5.5) of event ids derived from record coordinates: a fixed random UUID. */
export const RECORD_NAMESPACE = '0c5e2bd5-6b4c-4b0e-9f0c-3a7d3c7fd6a1'
/** 2000-01-01T00:00:00Z, the epoch of PostgreSQL's timestamptz, in milliseconds since 1970. */
const POSTGRES_EPOCH_MS = 946_684_800_000n
const END_OF_YEAR_9999_MS = 253_402_300_800_000

const REQUIRED = [FIELD_USER_ID, FIELD_TIMESTAMP, FIELD_METADATA]

/** Shared, because scans are synchronous. */
const scan = new JsonScan()

/** Decodes records into rows and dead letters. */
export function decodeRecords(
  records: readonly KafkaRecord[],
  identity: TopicIdentity,
): { rows: DecodedRow[]; dead: DeadLetter[] } {
  const rows: DecodedRow[] = []
  const dead: DeadLetter[] = []
  for (const record of records) {
    const row = record.value === null ? undefined : decodeCanonical(record.value)
    if (row !== undefined) rows.push({ record, row, metadataUnparsed: true })
    else {
      const decoded = decodeRecord(record, identity)
      if (decoded.ok) rows.push({ record, row: decoded.row })
      else dead.push(decoded.dead)
    }
  }
  return { rows, dead }
}

/**
 * Decodes records again with the general decoder if they were read by decodeCanonical(). Used after PostgreSQL has
 * refused a row, and only once for each record.
 *
 * @returns the remaining rows and the dead letters; undefined if all rows are valid
 */
export function decodeAgain(
  decoded: readonly DecodedRow[],
  identity: TopicIdentity,
): { rows: DecodedRow[]; dead: DeadLetter[] } | undefined {
  const rows: DecodedRow[] = []
  const dead: DeadLetter[] = []
  for (const each of decoded) {
    const again = each.metadataUnparsed ? decodeRecord(each.record, identity) : undefined
    if (again?.ok === false) {
      dead.push(again.dead)
      continue
    }
    each.metadataUnparsed = undefined // in place, because other lists share the object
    rows.push(each)
  }
  return dead.length > 0 ? { rows, dead } : undefined
}

/**
 * Decodes a record of any producer: a JSON object with the fields of an event in any order. Unknown fields are ignored.
 * A missing event_id becomes the UUIDv5 of the record's coordinates, a missing received_at the record's own timestamp.
 * Pure; never throws.
 */
export function decodeRecord(record: KafkaRecord, identity: TopicIdentity): Decoded {
  const { value } = record
  if (value === null) return undecodable(record, 'The record has no value')
  if (!scanText(value, 0, value.length, scan)) {
    const problem = scan.error === 'not_utf8' ? 'not UTF-8' : 'not JSON'
    return undecodable(record, `The value is ${problem} at byte ${scan.errorOffset}: ${scan.errorReason}`)
  }
  if (scan.kind !== KIND_OBJECT) return undecodable(record, 'The value is not a JSON object')
  return decodeMembers(record, value, identity)
}

function decodeMembers(record: KafkaRecord, value: Buffer, identity: TopicIdentity): Decoded {
  const memberOf: (number | undefined)[] = []
  for (let member = 0; member < scan.memberCount; member++) {
    const field = fieldOf(value, scan, member)
    if (field === FIELD_UNKNOWN) continue
    if (memberOf[field] !== undefined)
      return undecodable(record, `${FIELD_NAMES[field]} appears more than once`)
    memberOf[field] = member
  }

  const idMember = memberOf[FIELD_EVENT_ID]
  const eventId = idMember === undefined ? coordinateId(record, identity) : readUuid(value, scan, idMember)
  if (eventId === undefined) return undecodable(record, 'event_id is not a UUID')

  for (const field of REQUIRED) {
    if (memberOf[field] === undefined) return undecodable(record, `${FIELD_NAMES[field]} is missing`, eventId)
  }
  const userId = readUserId(value, scan, memberOf[FIELD_USER_ID]!)
  if (userId === undefined) return undecodable(record, 'user_id is not an integer within int8', eventId)
  const timestamp = readTimestamp(value, scan, memberOf[FIELD_TIMESTAMP]!)
  if (timestamp === undefined) return undecodable(record, 'timestamp is not an RFC 3339 date-time', eventId)

  const receivedMember = memberOf[FIELD_RECEIVED_AT]
  const receivedAt =
    receivedMember === undefined ? recordTime(record) : readMicros(readTimestamp(value, scan, receivedMember))
  if (receivedAt === undefined) {
    const fault =
      receivedMember === undefined
        ? "the record's own timestamp is out of range"
        : 'received_at is not an RFC 3339 date-time'
    return undecodable(record, fault, eventId)
  }

  const metadataMember = memberOf[FIELD_METADATA]!
  if (scan.valueKind(metadataMember) !== KIND_OBJECT) {
    return undecodable(record, 'metadata is not a JSON object', eventId)
  }
  const start = scan.valueStart(metadataMember)
  const end = scan.valueEnd(metadataMember)
  const fault = scan.faults.find(({ offset }) => offset >= start && offset < end)
  if (fault !== undefined) {
    const message = `metadata cannot be stored as jsonb at byte ${fault.offset}: ${fault.kind.replaceAll('_', ' ')}`
    return undecodable(record, message, eventId)
  }

  const row: EventRow = {
    eventId,
    userId: BigInt(userId),
    timestamp: toPostgresMicros(timestamp),
    metadata: value.subarray(start, end),
    receivedAt,
  }
  return { ok: true, row }
}

function readMicros(canonical: string | undefined): bigint | undefined {
  return canonical === undefined ? undefined : toPostgresMicros(canonical)
}

/** The record's own timestamp, or undefined if it is out of range, for example nanoseconds instead of milliseconds. */
function recordTime(record: KafkaRecord): bigint | undefined {
  const timestampMs = Math.max(0, record.timestampMs) // -1 means no timestamp (KIP-32)
  if (!(timestampMs < END_OF_YEAR_9999_MS)) return undefined
  return (BigInt(timestampMs) - POSTGRES_EPOCH_MS) * 1_000n
}

/** An id derived from the record's coordinates: the same each time the record is read. */
function coordinateId(record: KafkaRecord, identity: TopicIdentity): string {
  const name = `${identity.clusterId}/${identity.topic}/${record.partition}/${record.offset}`
  return uuidV5(name, RECORD_NAMESPACE)
}

function undecodable(record: KafkaRecord, message: string, eventId?: string): Decoded {
  return { ok: false, dead: { record, eventId, reason: 'undecodable', sqlstate: undefined, message } }
}

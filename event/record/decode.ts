import { v5 as uuidV5 } from 'uuid'
import {
  EVENT_ID,
  type EventRow,
  type Field,
  FIELDS,
  fieldOf,
  fieldsFor,
  isAbsent,
  lackingFields,
  RECEIVED_AT,
  TEXT_NAMES,
  UNKNOWN,
  USER_ID,
} from '../fields.ts'
import type { UserIdType } from '../kinds.ts'
import { JsonScan, KIND_OBJECT } from '../json/scan-result.ts'
import { scanText } from '../json/scan.ts'
import { decodeCanonical } from './decode-fast.ts'
import type {
  DeadLetter,
  Decoded,
  DecodedRecords,
  DecodedRow,
  KafkaRecord,
  TopicIdentity,
} from './decoded.ts'
import { encodeValues } from './encode.ts'
import { POSTGRES_EPOCH_MS } from '../timestamp.ts'
import { rowTexts } from './row-texts.ts'
import { checkOf } from './sent-check.ts'

/** The namespace (RFC 9562 section 5.5) of event ids derived from record coordinates: a fixed random UUID. */
export const RECORD_NAMESPACE = '0c5e2bd5-6b4c-4b0e-9f0c-3a7d3c7fd6a1'
const END_OF_YEAR_9999_MS = 253_402_300_800_000

/** Shared, because scans are synchronous. */
const scan = new JsonScan()

/** For each field its place among the optional texts: that of the field for which it stands. */
const PLACES = FIELDS.map(({ name, standsFor = name }: Field) =>
  TEXT_NAMES.findIndex((each) => each === standsFor),
)

/** Decodes records into rows and dead letters. */
export function decodeRecords(
  records: readonly KafkaRecord[],
  identity: TopicIdentity,
  userIdType: UserIdType,
): DecodedRecords {
  const rows: DecodedRow[] = []
  const dead: DeadLetter[] = []
  let mismatched: KafkaRecord | undefined
  for (const record of records) {
    const row = record.value === null ? undefined : decodeCanonical(record.value, userIdType)
    if (row !== undefined) rows.push({ record, row, metadataUnparsed: true })
    else {
      const decoded = decodeRecord(record, identity, userIdType)
      if (decoded.ok) rows.push({ record, row: decoded.row })
      else {
        dead.push(decoded.dead)
        const mayMismatch = userIdType === 'bigint' && mismatched === undefined
        if (mayMismatch && isFromTextApi(record, identity)) mismatched = record
      }
    }
  }
  return mismatched === undefined ? { rows, dead } : { rows, dead, mismatched }
}

/** Whether the record is just as an API with USER_ID_TYPE=text writes it. Other producers' records may be, but hardly are. */
function isFromTextApi(record: KafkaRecord, identity: TopicIdentity): boolean {
  const { value } = record
  if (value === null || !scanText(value, 0, value.length, scan) || scan.kind !== KIND_OBJECT) return false
  const read = readMembers(record, value, identity, fieldsFor('text'))
  if ('fault' in read || read.canonical[RECEIVED_AT] === undefined) return false
  return encodeValues(read.canonical).equals(value)
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
  userIdType: UserIdType,
): { rows: DecodedRow[]; dead: DeadLetter[] } | undefined {
  const rows: DecodedRow[] = []
  const dead: DeadLetter[] = []
  for (const each of decoded) {
    const again = each.metadataUnparsed ? decodeRecord(each.record, identity, userIdType) : undefined
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
 * A missing event_id becomes the UUIDv5 of the record's coordinates, a missing received_at the record's own timestamp:
 * when Kafka appended it, unless the topic has message.timestamp.type=CreateTime.
 * Pure; never throws.
 */
export function decodeRecord(record: KafkaRecord, identity: TopicIdentity, userIdType: UserIdType): Decoded {
  const { value } = record
  if (value === null) return undecodable(record, 'The record has no value')
  if (!scanText(value, 0, value.length, scan)) {
    const problem = scan.error === 'not_utf8' ? 'not UTF-8' : 'not JSON'
    return undecodable(record, `The value is ${problem} at byte ${scan.errorOffset}: ${scan.errorReason}`)
  }
  if (scan.kind !== KIND_OBJECT) return undecodable(record, 'The value is not a JSON object')
  const read = readMembers(record, value, identity, fieldsFor(userIdType))
  return 'fault' in read ? undecodable(record, read.fault, read.eventId) : { ok: true, row: read.row }
}

type Read =
  | { row: EventRow; canonical: readonly (string | Buffer | undefined)[] }
  /** One sentence. */
  | { fault: string; eventId?: string }

/** The row of the object in `scan`, and the canonical values of the fields that it has, in the order of the table. */
function readMembers(
  record: KafkaRecord,
  value: Buffer,
  identity: TopicIdentity,
  fields: readonly Field[],
): Read {
  const memberOf: (number | undefined)[] = []
  for (let member = 0; member < scan.memberCount; member++) {
    const field = fieldOf(value, scan, member)
    if (field === UNKNOWN) continue
    if (memberOf[field] !== undefined) return { fault: `${fields[field]!.name} appears more than once` }
    memberOf[field] = member
  }
  for (const [n, field] of fields.entries()) {
    const member = memberOf[n]
    if (member !== undefined && isAbsent(field, scan, member)) memberOf[n] = undefined
  }
  const id = valueOf(EVENT_ID, fields[EVENT_ID]!, memberOf, record, value, identity)
  if ('fault' in id) return id
  const eventId = id.stored as string
  const [lacking] = lackingFields((n) => memberOf[n] !== undefined)
  if (lacking !== undefined) return { fault: lackText(fields[lacking]!), eventId }

  const row: Record<string, unknown> = { eventId }
  const texts: (Buffer | undefined)[] = []
  let otherBytes = 0
  const canonical: (string | Buffer | undefined)[] = [eventId]
  for (const [n, field] of fields.entries()) {
    if (n === EVENT_ID) continue
    const found = valueOf(n, field, memberOf, record, value, identity)
    if ('fault' in found) return { ...found, eventId }
    const isText = field.kind.type === 'text' && n !== USER_ID
    if (isText) texts[PLACES[n]!] ??= found.stored as Buffer | undefined
    else {
      row[field.key] = found.stored
      if (found.stored instanceof Buffer) otherBytes += found.stored.length
    }
    canonical[n] = found.canonical
  }
  const rest = rowTexts(texts)
  row.texts = rest
  row.sentCheck = checkOf(canonical)
  row.variableBytes = otherBytes + (rest?.bytes.length ?? 0)
  return { row: row as unknown as EventRow, canonical }
}

function lackText({ name, unless }: Field): string {
  return unless === undefined ? `${name} is missing` : `${name} and ${unless} are missing`
}

/** What is stored of field `n`, or one sentence about why nothing can be. */
function valueOf(
  n: number,
  { name, kind }: Field,
  memberOf: readonly (number | undefined)[],
  record: KafkaRecord,
  value: Buffer,
  identity: TopicIdentity,
): { stored: unknown; canonical?: string | Buffer } | { fault: string } {
  const member = memberOf[n]
  if (member === undefined) {
    if (n === EVENT_ID) return { stored: coordinateId(record, identity) }
    if (n !== RECEIVED_AT) return { stored: undefined }
    const stored = recordTime(record)
    return stored === undefined ? { fault: "the record's own timestamp is out of range" } : { stored }
  }
  const canonical = kind.read(value, scan, member)
  if (canonical === undefined) return { fault: `${name} is not ${kind.named}` }
  const start = scan.valueStart[member]!
  const end = scan.valueEnd[member]!
  const fault = scan.faults.find(({ offset }) => offset >= start && offset < end)
  if (fault === undefined) return { stored: kind.toStored(canonical as never), canonical }
  return {
    fault: `${name} cannot be stored as ${kind.type} at byte ${fault.offset}: ${fault.kind.replaceAll('_', ' ')}`,
  }
}

/** The record's own timestamp, or undefined if it is out of range, for example nanoseconds instead of milliseconds. */
function recordTime(record: KafkaRecord): bigint | undefined {
  const timestampMs = Math.max(0, record.timestampMs) // -1 means no timestamp (KIP-32)
  if (!(timestampMs < END_OF_YEAR_9999_MS)) return undefined
  return BigInt(timestampMs - POSTGRES_EPOCH_MS) * 1_000n
}

/** An id derived from the record's coordinates: the same each time the record is read. */
function coordinateId(record: KafkaRecord, identity: TopicIdentity): string {
  const name = `${identity.clusterId}/${identity.topic}/${record.partition}/${record.offset}`
  return uuidV5(name, RECORD_NAMESPACE)
}

function undecodable(record: KafkaRecord, message: string, eventId?: string): Decoded {
  return { ok: false, dead: { record, eventId, reason: 'undecodable', sqlstate: undefined, message } }
}

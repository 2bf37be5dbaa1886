/** Lists every fault of a refused event. Slow path: used only after validation has failed. */
import { pointersAt, pointerSegment } from '../../event/json/pointer.ts'
import { type JsonbFaultKind, type JsonScan, KIND_OBJECT } from '../../event/json/scan-result.ts'
import { MAX_DEPTH, MAX_FAULTS, POINTER_BUDGET } from '../../event/limits.ts'
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
} from '../../event/read-fields.ts'
import type { ProblemError } from '../http/problem.ts'

const REQUIRED = [FIELD_USER_ID, FIELD_TIMESTAMP, FIELD_METADATA]

/** Describes the valid values of each field, by FIELD_* number. */
const EXPECTED = [
  'must be an integer from -9223372036854775808 to 9223372036854775807, written without fraction or exponent.',
  'must be an RFC 3339 date-time as a string, such as "2025-01-31T12:00:00.5Z": an existing date in the years 0001 to 9999 (UTC), a T, hours 00-23, seconds 00-59.',
  'must be a JSON object.',
  'must be a UUID as a string, such as "0198c0de-7a5b-7000-8000-0123456789ab", or be omitted.',
]

const JSONB_FAULTS: Record<JsonbFaultKind, string> = {
  nul_escape: 'A string must not contain the character \\u0000.',
  lone_surrogate: 'A \\u escape of a surrogate must be part of a pair: a high surrogate, then a low one.',
  number_out_of_range:
    'A number must be below 1e131072 in magnitude and have at most 16383 digits after the decimal point.',
  too_deep: `An event must not be nested deeper than ${MAX_DEPTH} levels.`,
}

const MAX_QUOTED_NAME = 100

/**
 * The faults of the value in `scan`, in text order with missing fields last; empty if it is a valid event. The list may
 * be incomplete once it has MAX_FAULTS entries. Each pointer begins with `prefix`.
 */
export function eventFaults(buf: Buffer, scan: JsonScan, prefix: string): ProblemError[] {
  if (scan.kind !== KIND_OBJECT) return [{ pointer: prefix, detail: 'An event must be a JSON object.' }]
  const errors: ProblemError[] = []
  const names = new Set<string>()
  const repeated = new Set<string>()
  for (let i = 0; i < scan.memberCount && errors.length < MAX_FAULTS; i++) {
    const name = scan.name(buf, i)
    const pointer = prefix + pointerSegment(name)
    if (!names.has(name)) {
      names.add(name)
      errors.push(...memberFaults(buf, scan, i, name, pointer))
    } else if (!repeated.has(name)) {
      repeated.add(name)
      errors.push({ pointer, detail: `${quoted(name)} must appear only once.` })
    }
  }
  if (errors.length >= MAX_FAULTS) return errors
  for (const field of REQUIRED) {
    const name = FIELD_NAMES[field]!
    if (names.has(name)) continue
    errors.push({ pointer: `${prefix}/${name}`, detail: `${name} is missing: it ${EXPECTED[field]}` })
  }
  return errors
}

function memberFaults(buf: Buffer, scan: JsonScan, i: number, name: string, pointer: string): ProblemError[] {
  const field = fieldOf(buf, scan, i)
  if (field === FIELD_UNKNOWN || field === FIELD_RECEIVED_AT) {
    const detail = `${quoted(name)} is not a field of an event; the fields are user_id, timestamp, metadata and event_id.`
    return [{ pointer, detail }]
  }
  if (!hasValidValue(buf, scan, i, field)) return [{ pointer, detail: `${name} ${EXPECTED[field]}` }]
  return field === FIELD_METADATA ? metadataFaults(buf, scan, i, pointer) : []
}

function hasValidValue(buf: Buffer, scan: JsonScan, i: number, field: number): boolean {
  if (field === FIELD_USER_ID) return readUserId(buf, scan, i) !== undefined
  if (field === FIELD_TIMESTAMP) return readTimestamp(buf, scan, i) !== undefined
  if (field === FIELD_EVENT_ID) return readUuid(buf, scan, i) !== undefined
  return scan.valueKind(i) === KIND_OBJECT
}

/** The jsonb faults inside the metadata. Anywhere else, such a value is already refused for its type or name. */
function metadataFaults(buf: Buffer, scan: JsonScan, i: number, pointer: string): ProblemError[] {
  const start = scan.valueStart(i)
  const end = scan.valueEnd(i)
  const faults = scan.faults.filter((fault) => fault.offset >= start && fault.offset < end)
  const offsets = faults.map((fault) => fault.offset)
  const pointers = pointersAt(buf, start, end, offsets, POINTER_BUDGET)
  return pointers.map((below, n) => {
    const kind = faults[n]!.kind
    return { pointer: pointer + below, detail: JSONB_FAULTS[kind] }
  })
}

/** A name chosen by the client, quoted and truncated. */
function quoted(name: string): string {
  return JSON.stringify(name.length > MAX_QUOTED_NAME ? `${name.slice(0, MAX_QUOTED_NAME)}…` : name)
}

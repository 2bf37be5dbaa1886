/** Validates a scanned event. explain-faults.ts lists the faults of an invalid one. */
import {
  type CanonicalEvent,
  EVENT_ID,
  fieldOf,
  fieldsFor,
  isAbsent,
  lackingFields,
  UNKNOWN,
} from '../../event/fields.ts'
import type { UserIdType } from '../../event/kinds.ts'
import { type JsonScan, KIND_OBJECT } from '../../event/json/scan-result.ts'

const ABSENT = -1

export interface EventOptions {
  userIdType: UserIdType
  /** Generates a canonical UUIDv7 for an event without event_id. */
  newId: () => string
  /** Of the key with which the event is sent. */
  label?: string | undefined
}

/** The event in `scan`, a view of `buf`, or undefined if it has any fault. */
export function canonicalEvent(
  buf: Buffer,
  scan: JsonScan,
  { userIdType, newId }: EventOptions,
): CanonicalEvent | undefined {
  if (scan.kind !== KIND_OBJECT || scan.faults.length > 0) return undefined
  const fields = fieldsFor(userIdType)
  const members = fields.map(() => ABSENT)
  for (let i = 0; i < scan.memberCount; i++) {
    const n = fieldOf(buf, scan, i)
    if (n === UNKNOWN || members[n] !== ABSENT) return undefined
    members[n] = i
  }
  const event: Record<string, string | Buffer> = {}
  for (const [n, field] of fields.entries()) {
    const { key, kind, isFromClient } = field
    const i = members[n]!
    if (i === ABSENT) {
      if (n === EVENT_ID) event[key] = newId()
      continue
    }
    if (!isFromClient) return undefined
    if (isAbsent(field, scan, i)) {
      members[n] = ABSENT
      continue
    }
    const value = kind.read(buf, scan, i)
    if (value === undefined) return undefined
    event[key] = value
  }
  const lacksNone = lackingFields((n) => members[n] !== ABSENT).length === 0
  return lacksNone ? (event as CanonicalEvent) : undefined
}

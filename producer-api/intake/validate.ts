/** Validates a scanned event. explain-faults.ts lists the faults of an invalid one. */
import { type CanonicalEvent, EVENT_ID, type Field, fieldOf, FIELDS, UNKNOWN } from '../../event/fields.ts'
import { type JsonScan, KIND_OBJECT } from '../../event/json/scan-result.ts'

const ABSENT = -1
const ROWS: readonly [number, Field][] = [...FIELDS.entries()]

/** The event in `scan`, a view of `buf`, or undefined if it has any fault. `newId` generates a missing event_id. */
export function canonicalEvent(buf: Buffer, scan: JsonScan, newId: () => string): CanonicalEvent | undefined {
  if (scan.kind !== KIND_OBJECT || scan.faults.length > 0) return undefined
  const members = FIELDS.map(() => ABSENT)
  for (let i = 0; i < scan.memberCount; i++) {
    const n = fieldOf(buf, scan, i)
    if (n === UNKNOWN || members[n] !== ABSENT) return undefined
    members[n] = i
  }
  const event: Record<string, string | Buffer | undefined> = {}
  for (const [n, { key, kind, isFromClient, missing }] of ROWS) {
    const i = members[n]!
    if (i === ABSENT) {
      if (n === EVENT_ID) event[key] = newId()
      else if (isFromClient && missing === 'refused') return undefined
    } else {
      event[key] = isFromClient ? kind.read(buf, scan, i) : undefined
      if (event[key] === undefined) return undefined
    }
  }
  return event as CanonicalEvent
}

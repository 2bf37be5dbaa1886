/** Validates a scanned event. explain-faults.ts lists the faults of an invalid one. */
import { type CanonicalEvent, EVENT_ID, type Field, fieldOf, FIELDS, UNKNOWN } from '../../event/fields.ts'
import { type JsonScan, KIND_OBJECT } from '../../event/json/scan-result.ts'

const SENT = [...FIELDS.entries()].filter(([, { isFromClient }]) => isFromClient)

/** The event in `scan`, a view of `buf`, or undefined if it has any fault. `newId` generates a missing event_id. */
export function canonicalEvent(buf: Buffer, scan: JsonScan, newId: () => string): CanonicalEvent | undefined {
  if (scan.kind !== KIND_OBJECT || scan.faults.length > 0) return undefined
  const values: (string | Buffer | undefined)[] = FIELDS.map(() => undefined)
  for (let i = 0; i < scan.memberCount; i++) {
    const n = fieldOf(buf, scan, i)
    if (n === UNKNOWN || values[n] !== undefined) return undefined
    const { isFromClient, kind }: Field = FIELDS[n]!
    if (!isFromClient) return undefined
    values[n] = kind.read(buf, scan, i)
    if (values[n] === undefined) return undefined
  }
  values[EVENT_ID] ??= newId()
  const event: Record<string, string | Buffer | undefined> = {}
  for (const [n, { key, missing }] of SENT) {
    if (values[n] === undefined && missing === 'refused') return undefined
    event[key] = values[n]
  }
  return event as CanonicalEvent
}

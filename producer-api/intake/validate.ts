/** Validates a scanned event. explain-faults.ts lists the faults of an invalid one. */
import { type JsonScan, KIND_OBJECT } from '../../event/json/scan-result.ts'
import {
  FIELD_EVENT_ID,
  FIELD_METADATA,
  FIELD_TIMESTAMP,
  FIELD_USER_ID,
  fieldOf,
  readTimestamp,
  readUserId,
  readUuid,
} from '../../event/read-fields.ts'
import type { CanonicalEvent } from '../../event/types.ts'

/** The event in `scan`, a view of `buf`, or undefined if it has any fault. `newId` generates a missing event_id. */
export function canonicalEvent(buf: Buffer, scan: JsonScan, newId: () => string): CanonicalEvent | undefined {
  if (scan.kind !== KIND_OBJECT || scan.faults.length > 0) return undefined
  let eventId: string | undefined
  let userId: string | undefined
  let timestamp: string | undefined
  let metadata: Buffer | undefined
  for (let i = 0; i < scan.memberCount; i++) {
    switch (fieldOf(buf, scan, i)) {
      case FIELD_USER_ID:
        if (userId !== undefined) return undefined
        userId = readUserId(buf, scan, i)
        if (userId === undefined) return undefined
        break
      case FIELD_TIMESTAMP:
        if (timestamp !== undefined) return undefined
        timestamp = readTimestamp(buf, scan, i)
        if (timestamp === undefined) return undefined
        break
      case FIELD_METADATA:
        if (metadata !== undefined || scan.valueKind(i) !== KIND_OBJECT) return undefined
        metadata = buf.subarray(scan.valueStart(i), scan.valueEnd(i))
        break
      case FIELD_EVENT_ID:
        if (eventId !== undefined) return undefined
        eventId = readUuid(buf, scan, i)
        if (eventId === undefined) return undefined
        break
      default:
        return undefined
    }
  }
  if (userId === undefined || timestamp === undefined || metadata === undefined) return undefined
  return { eventId: eventId ?? newId(), userId, timestamp, metadata }
}

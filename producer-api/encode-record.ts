/** The canonical bytes of a record's value: what the API sends to Kafka and the sink recognises without a parse. */
import type { CanonicalEvent } from '../event/types.ts'

/**
 * `{"event_id":…,"user_id":…,"timestamp":…,"received_at":…,"metadata":…}`, in this order, without spaces between the
 * members; the metadata is copied byte for byte. `receivedAtText` is that of receivedAt(). The result shares
 * no memory with the request body.
 */
export function encodeRecord(event: CanonicalEvent, receivedAtText: string): Buffer {
  const head = `{"event_id":"${event.eventId}","user_id":${event.userId},"timestamp":"${event.timestamp}","received_at":"${receivedAtText}","metadata":`
  const metadata = event.metadata
  const record = Buffer.allocUnsafe(head.length + metadata.length + 1)
  record.write(head, 0, 'latin1')
  record.set(metadata, head.length)
  record[record.length - 1] = 0x7d
  return record
}

let lastMillisecond = -1
let lastText = ''

/** `epochMilliseconds` in canonical form. Most events of a busy server share their millisecond with the one before. */
export function receivedAt(epochMilliseconds: number): string {
  if (epochMilliseconds !== lastMillisecond) {
    lastMillisecond = epochMilliseconds
    lastText = `${new Date(epochMilliseconds).toISOString().slice(0, 23)}000Z`
  }
  return lastText
}

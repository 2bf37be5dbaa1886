/** The canonical form of a record value: written by the API, and recognized by the sink without parsing. */
import { UUID_BYTES } from '../canonical-bytes.ts'
import type { CanonicalEvent } from '../types.ts'
import { EventSlices } from './encode-fast.ts'
import type { Records } from './records.ts'

/** Length of a record without user_id and metadata, the fields of variable length. */
const FIXED_BYTES =
  '{"event_id":"00000000-0000-7000-8000-000000000000","user_id":,"timestamp":"2026-01-01T00:00:00.000000Z","received_at":"2026-01-01T00:00:00.000000Z","metadata":}'
    .length
/** Position of the id with its quotes: `[ID_START, ID_END)`. */
const ID_START = '{"event_id":'.length
const ID_END = ID_START + UUID_BYTES + 2

/**
 * Encodes events, in their order, as
 * `{"event_id":…,"user_id":…,"timestamp":…,"received_at":…,"metadata":…}` without white space between the members. The
 * metadata are copied byte for byte. The result shares no memory with the request body.
 *
 * @param receivedAtText the result of receivedAt()
 */
export function encodeRecords(events: readonly CanonicalEvent[], receivedAtText: string): Records {
  let size = events.length * FIXED_BYTES
  for (const event of events) size += variableBytes(event)
  const bytes = Buffer.allocUnsafe(size)
  const beforeMetadata = Buffer.from(`","received_at":"${receivedAtText}","metadata":`, 'latin1')
  let at = 0
  const ends = events.map((event) => {
    at =
      event instanceof EventSlices
        ? event.writeRecord(bytes, at, beforeMetadata)
        : writeRecord(event, bytes, at, beforeMetadata)
    return at
  })
  return { bytes, ends }
}

/** Encodes one event; see encodeRecords(). */
export function encodeRecord(event: CanonicalEvent, receivedAtText: string): Buffer {
  return encodeRecords([event], receivedAtText).bytes
}

/** The ids in records made by encodeRecords(), as JSON array elements without the brackets. */
export function eventIdsJson({ bytes, ends }: Records): string {
  const idBytes = ID_END - ID_START
  const json = Buffer.allocUnsafe(ends.length * (idBytes + 1))
  let start = 0
  let at = 0
  for (const end of ends) {
    for (let i = start + ID_START; i < start + ID_END; i++) json[at++] = bytes[i]!
    json[at++] = 0x2c
    start = end
  }
  return json.toString('latin1', 0, at - 1)
}

function variableBytes(event: CanonicalEvent): number {
  if (event instanceof EventSlices) return event.variableBytes
  return event.userId.length + event.metadata.length
}

/** Writes the record at `start` and returns the offset after it. */
function writeRecord(event: CanonicalEvent, bytes: Buffer, start: number, beforeMetadata: Buffer): number {
  const { eventId, userId, timestamp, metadata } = event
  const head = `{"event_id":"${eventId}","user_id":${userId},"timestamp":"${timestamp}`
  let at = start + bytes.write(head, start, 'latin1')
  at += beforeMetadata.copy(bytes, at)
  at += metadata.copy(bytes, at)
  bytes[at++] = 0x7d
  return at
}

let lastMillisecond = -1
let lastText = ''

/** The canonical timestamp text of `epochMilliseconds`. Cached: on a busy server, many events share a millisecond. */
export function receivedAt(epochMilliseconds: number): string {
  if (epochMilliseconds !== lastMillisecond) {
    lastMillisecond = epochMilliseconds
    lastText = `${new Date(epochMilliseconds).toISOString().slice(0, 23)}000Z`
  }
  return lastText
}

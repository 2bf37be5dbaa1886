import { createHash } from 'node:crypto'

/** Of a canonical timestamp, up to its milliseconds. */
const MILLISECONDS_BYTES = 23
const TIME_BYTES = 6
const UUID_BYTES = 16

/**
 * The event_id of a CloudEvent whose id is no UUID: a UUIDv8 (RFC 9562), which depends on nothing but the event and the label
 * of its key, so that the same event sent again has the same one. It begins with the milliseconds since 1970 (0 for earlier times), as a UUIDv7
 * does, so that ids stay in order of time; the rest is from the SHA-256 of a JSON array of time and names, where no two
 * lists have the same text.
 *
 * @param time canonical
 * @param label of the key with which it was sent: clients with different keys need not know each other's sources and ids
 */
export function cloudEventId(time: string, source: string, id: string, label?: string): string {
  const names = label === undefined ? [source, id] : [source, id, label]
  const since1970Ms = Date.parse(`${time.slice(0, MILLISECONDS_BYTES)}Z`)
  const uuid = Buffer.alloc(UUID_BYTES)
  uuid.writeUIntBE(Math.max(0, since1970Ms), 0, TIME_BYTES)
  createHash('sha256')
    .update(JSON.stringify([time, ...names]))
    .digest()
    .copy(uuid, TIME_BYTES, 0, UUID_BYTES - TIME_BYTES)
  uuid[6] = 0x80 | (uuid[6]! & 0x0f) // version 8
  uuid[8] = 0x80 | (uuid[8]! & 0x3f) // variant of RFC 9562
  return uuid.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

import type { EventRow, Int8 } from './records.ts'

/*
 * The binary format of COPY (https://www.postgresql.org/docs/18/sql-copy.html, "Binary Format"): a signature, flags
 * and header extension; then for each tuple a 16-bit field count and for each field a 32-bit length and its bytes;
 * then a 16-bit -1. Fields are in the types' own send/receive form, big-endian: uuid 16 bytes; int8 8 bytes;
 * timestamptz int8 microseconds since 2000-01-01; jsonb a version byte 1 and the JSON text.
 */
const SIGNATURE = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1')
const TRAILER = Buffer.from([0xff, 0xff])
const JSONB_VERSION = 1

/** field count 2 + uuid 4+16 + user_id 4+8 + timestamp 4+8 + metadata 4+1 + received_at 4+8 */
const FIXED_ROW_BYTES = 63
const ORDINAL_FIELD_BYTES = 8
const TWO_TO_32 = 2 ** 32

/** Large enough that the cost of a write is spread, small enough to overlap encoding with the server's work. */
export const CHUNK_BYTES = 64 * 1024

/**
 * Rows in binary COPY form, as chunks of about CHUNK_BYTES (a single larger row makes a larger chunk). Lazy: a chunk
 * is encoded when the socket wants it.
 *
 * @param withOrdinal prefixes each row with its index as an int4, for the staging table
 */
export function* encodeCopy(rows: readonly EventRow[], withOrdinal = false): Generator<Buffer> {
  const extra = withOrdinal ? ORDINAL_FIELD_BYTES : 0
  let chunk = Buffer.allocUnsafe(CHUNK_BYTES)
  let pos = SIGNATURE.copy(chunk)
  for (let index = 0; index < rows.length; index += 1) {
    const row = rows[index]!
    const { metadata } = row
    const size = FIXED_ROW_BYTES + extra + metadata.length
    if (pos + size > chunk.length) {
      yield chunk.subarray(0, pos)
      chunk = Buffer.allocUnsafe(Math.max(CHUNK_BYTES, size))
      pos = 0
    }
    pos = writeRow(chunk, pos, row, metadata, withOrdinal ? index : undefined)
  }
  yield chunk.subarray(0, pos)
  yield TRAILER
}

function writeRow(
  chunk: Buffer,
  start: number,
  row: EventRow,
  metadata: Buffer,
  ordinal: number | undefined,
): number {
  let pos = start
  pos = chunk.writeInt16BE(ordinal === undefined ? 5 : 6, pos)
  if (ordinal !== undefined) {
    pos = chunk.writeInt32BE(4, pos)
    pos = chunk.writeInt32BE(ordinal, pos)
  }
  pos = writeUuid(chunk, chunk.writeInt32BE(16, pos), row.eventId)
  pos = writeInt8(chunk, pos, row.userId)
  pos = writeInt8(chunk, pos, row.timestamp)
  pos = chunk.writeInt32BE(metadata.length + 1, pos)
  chunk[pos++] = JSONB_VERSION
  chunk.set(metadata, pos)
  return writeInt8(chunk, pos + metadata.length, row.receivedAt)
}

/** With its length before it. */
function writeInt8(chunk: Buffer, start: number, value: Int8): number {
  const pos = chunk.writeInt32BE(8, start)
  if (typeof value === 'bigint') return chunk.writeBigInt64BE(value, pos)
  const high = Math.floor(value / TWO_TO_32)
  return chunk.writeUInt32BE(value - high * TWO_TO_32, chunk.writeInt32BE(high, pos))
}

/** By character code: the value of a hexadecimal digit. */
const NIBBLE = new Uint8Array(128)
for (let digit = 0; digit < 16; digit++) NIBBLE[digit.toString(16).charCodeAt(0)] = digit

/** `buffer.write(..., 'hex')` of the five groups takes five times as long. */
function writeUuid(chunk: Buffer, start: number, uuid: string): number {
  let at = 0
  for (let pos = start; pos < start + 16; pos++) {
    if (uuid.charCodeAt(at) === 0x2d) at++
    chunk[pos] = (NIBBLE[uuid.charCodeAt(at)]! << 4) | NIBBLE[uuid.charCodeAt(at + 1)]!
    at += 2
  }
  return start + 16
}

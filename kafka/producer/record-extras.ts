/** A record's key and headers within a record batch: most records have none, and writeRecord() is for those. */
import type { Extras } from '../../event/record/extras.ts'
import { varIntBytes, writeVarInt } from './varint.ts'

/** Most that a length, or the number of headers, takes as a varint. */
const LENGTH_BYTES = 5
/** The length of a key that is not there: -1. */
const NO_KEY = 1

/** Most that they add to their records. */
export function extrasBytes(extras: readonly (Extras | undefined)[]): number {
  let bytes = 0
  for (const own of extras) {
    if (own === undefined) continue
    bytes += LENGTH_BYTES + (own.key?.length ?? 0) + LENGTH_BYTES
    for (const { name, value } of own.headers ?? [])
      bytes += LENGTH_BYTES + Buffer.byteLength(name) + LENGTH_BYTES + value.length
  }
  return bytes
}

/** As writeRecord(), with a key, headers or both. */
export function writeRecordWith(
  batch: Buffer,
  at: number,
  offset: number,
  bytes: Buffer,
  start: number,
  end: number,
  { key, headers = [] }: Extras,
): number {
  const valueBytes = end - start
  let length = 1 + 1 + varIntBytes(offset)
  length += key === undefined ? 1 : varIntBytes(key.length) + key.length
  length += varIntBytes(valueBytes) + valueBytes + varIntBytes(headers.length)
  for (const { name, value } of headers) {
    const nameBytes = Buffer.byteLength(name)
    length += varIntBytes(nameBytes) + nameBytes + varIntBytes(value.length) + value.length
  }
  at = writeVarInt(batch, at, length)
  batch[at++] = 0 // attributes
  batch[at++] = 0 // time after the first record's
  at = writeVarInt(batch, at, offset)
  if (key === undefined) batch[at++] = NO_KEY
  else {
    at = writeVarInt(batch, at, key.length)
    at += key.copy(batch, at)
  }
  at = writeVarInt(batch, at, valueBytes)
  at += bytes.copy(batch, at, start, end)
  at = writeVarInt(batch, at, headers.length)
  for (const { name, value } of headers) {
    at = writeVarInt(batch, at, Buffer.byteLength(name))
    at += batch.write(name, at)
    at = writeVarInt(batch, at, value.length)
    at += value.copy(batch, at)
  }
  return at
}

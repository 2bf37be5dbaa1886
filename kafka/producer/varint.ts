/** Bytes of a number, zero or more, as a signed varint. */
export function varIntBytes(value: number): number {
  let bytes = 1
  for (let rest = value >>> 6; rest > 0; rest >>>= 7) bytes += 1
  return bytes
}

/** Signed (zigzag) varint, https://protobuf.dev/programming-guides/encoding, of a number from 0 to 2^30. */
export function writeVarInt(batch: Buffer, start: number, value: number): number {
  let at = start
  let rest = value << 1
  for (; rest > 0x7f; rest >>>= 7) batch[at++] = (rest & 0x7f) | 0x80
  batch[at++] = rest
  return at
}

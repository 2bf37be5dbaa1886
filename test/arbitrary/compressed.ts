import fc from 'fast-check'

/** A part of a text as Snappy and LZ4 see it: bytes of its own, then a copy of what precedes them, if any. */
export interface Piece {
  literal: Buffer
  copy?: { distance: number; length: number }
}

/** Both formats can express these lengths; LZ4 cannot express a longer distance. */
const MOST_COPIED = 64
const MOST_DISTANT = 65_535

/** Pieces that both formats can express. The last has no copy. */
export const pieces: fc.Arbitrary<Piece[]> = fc
  .array(
    fc.record({
      literal: fc.uint8Array({ minLength: 0, maxLength: 400 }),
      length: fc.integer({ min: 4, max: MOST_COPIED }),
      back: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
    { maxLength: 40 },
  )
  .map((drawn) => {
    let before = 0
    const made = drawn.map(({ literal, length, back }): Piece => {
      before += literal.length
      if (before === 0) return { literal: Buffer.from(literal) }
      const distance = Math.min(MOST_DISTANT, 1 + Math.floor(back * (before - 1)))
      before += length
      return { literal: Buffer.from(literal), copy: { distance, length } }
    })
    return [...made.filter(({ copy }) => copy !== undefined), { literal: Buffer.from('the end') }]
  })

/** The text, byte by byte. */
export function textOf(parts: readonly Piece[]): Buffer {
  const text: number[] = []
  for (const { literal, copy } of parts) {
    text.push(...literal)
    for (let n = 0; n < (copy?.length ?? 0); n += 1) text.push(text[text.length - copy!.distance]!)
  }
  return Buffer.from(text)
}

/** A block of Snappy; `claimed` is the length that it claims, by default the right one. */
export function snappyBlock(parts: readonly Piece[], claimed = textOf(parts).length): Buffer {
  const bytes: number[] = []
  let rest = claimed
  for (; rest > 0x7f; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) + 0x80)
  bytes.push(rest)
  for (const { literal, copy } of parts) {
    if (literal.length > 0) {
      const length = literal.length - 1
      bytes.push(...(length < 60 ? [length << 2] : [61 << 2, length & 0xff, length >>> 8]), ...literal)
    }
    if (copy === undefined) continue
    const { distance, length } = copy
    if (length < 12 && distance < 2_048)
      bytes.push(((distance >>> 8) << 5) | ((length - 4) << 2) | 1, distance & 0xff)
    else if (distance % 2 === 0) bytes.push(((length - 1) << 2) | 2, distance & 0xff, distance >>> 8)
    else bytes.push(((length - 1) << 2) | 3, distance & 0xff, distance >>> 8, 0, 0)
  }
  return Buffer.from(bytes)
}

/** Blocks of Snappy as the Java client frames them. */
export function snappyFrame(blocks: readonly Buffer[]): Buffer {
  const header = Buffer.from('\x82SNAPPY\0\0\0\0\x01\0\0\0\x01', 'latin1')
  return Buffer.concat([header, ...blocks.flatMap((block) => [int32(block.length), block])])
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

/** A block of LZ4. */
export function lz4Block(parts: readonly Piece[]): Buffer {
  const bytes: number[] = []
  for (const { literal, copy } of parts) {
    const copied = copy === undefined ? 0 : copy.length - 4
    bytes.push((Math.min(15, literal.length) << 4) | Math.min(15, copied))
    if (literal.length >= 15) bytes.push(...continued(literal.length - 15))
    bytes.push(...literal)
    if (copy === undefined) continue
    bytes.push(copy.distance & 0xff, copy.distance >>> 8)
    if (copied >= 15) bytes.push(...continued(copied - 15))
  }
  return Buffer.from(bytes)
}

function continued(length: number): number[] {
  return [...Array.from({ length: Math.floor(length / 255) }, () => 255), length % 255]
}

/** Version 1, independent blocks of at most 4 MiB, and the checksum of these two. */
const LZ4_HEADER = Buffer.from('04224d18607073', 'hex')

/** A frame of LZ4 with these blocks; those that are `stored` are not compressed. */
export function lz4Frame(blocks: readonly { bytes: Buffer; stored?: boolean }[]): Buffer {
  const parts = blocks.flatMap(({ bytes, stored = false }) => {
    const size = Buffer.alloc(4)
    size.writeUInt32LE(bytes.length + (stored ? 0x80000000 : 0))
    return [size, bytes]
  })
  return Buffer.concat([LZ4_HEADER, ...parts, Buffer.alloc(4)])
}

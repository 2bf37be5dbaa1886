import { MalformedError, Text, TextLength, type TextParts } from './text.ts'

/** How the Java client begins a text, before the version and the oldest version that can read it (int32 each). */
const FRAMED = Buffer.from('\x82SNAPPY\0', 'latin1')
const FRAME_HEADER_BYTES = FRAMED.length + 4 + 4
/** Most bytes of a length as a varint of 32 bits. */
const VARINT_BYTES = 5

/**
 * Decompresses a text of Snappy (https://github.com/google/snappy/blob/main/format_description.txt): a single block, as
 * the C client writes, or blocks with their lengths (int32), as the Java client does.
 *
 * @throws {MalformedError}
 * @throws {TooLargeError} before memory for more than `limit` bytes is allocated
 */
export function decompressSnappy(bytes: Buffer, limit: number): Buffer {
  const blocks = (): Iterable<Buffer> => (isFramed(bytes) ? framedBlocks(bytes) : [bytes])
  // Twice through the blocks, because a list of very many small ones would take more memory than the text.
  const total = new TextLength(limit)
  for (const block of blocks()) total.add(readLength(block).length)
  const text = new Text(total.bytes)
  for (const block of blocks()) {
    const { length, start } = readLength(block)
    const end = text.length + length
    readBlock(block, start, text)
    if (text.length !== end) throw new MalformedError('a block is not as long as it says')
  }
  return text.whole()
}

function isFramed(bytes: Buffer): boolean {
  return bytes.length >= FRAME_HEADER_BYTES && bytes.subarray(0, FRAMED.length).equals(FRAMED)
}

function* framedBlocks(bytes: Buffer): Generator<Buffer> {
  for (let at = FRAME_HEADER_BYTES; at < bytes.length; ) {
    if (at + 4 > bytes.length) throw new MalformedError('the length of a block is cut off')
    const length = bytes.readInt32BE(at)
    at += 4
    if (length < 0 || at + length > bytes.length) throw new MalformedError('a block is cut off')
    yield bytes.subarray(at, at + length)
    at += length
  }
}

/** The length of the text of a block, with which the block begins, and where its elements start. */
function readLength(block: Buffer): { length: number; start: number } {
  let length = 0
  for (let n = 0; n < VARINT_BYTES; n += 1) {
    const byte = block[n]
    if (byte === undefined) break
    length += (byte & 0x7f) * 2 ** (7 * n)
    if (byte < 0x80) return { length, start: n + 1 }
  }
  throw new MalformedError('a block does not say how long it is')
}

/** The two lowest bits of an element's first byte are its kind. */
const LITERAL = 0
const NEAR_COPY = 1
/** Lengths of literals from 60 on stand for the number of bytes that hold the length. */
const LONG_LITERAL = 60

function readBlock(block: Buffer, start: number, text: TextParts): void {
  let at = start
  while (at < block.length) {
    const tag = block[at]!
    at += 1
    const kind = tag & 3
    if (kind === LITERAL) {
      let length = tag >>> 2
      if (length >= LONG_LITERAL) {
        const bytes = length - LONG_LITERAL + 1
        length = littleEndian(block, at, bytes)
        at += bytes
      }
      text.literal(block, at, length + 1)
      at += length + 1
    } else if (kind === NEAR_COPY) {
      text.copy(((tag >>> 5) << 8) | littleEndian(block, at, 1), 4 + ((tag >>> 2) & 7))
      at += 1
    } else {
      const bytes = kind === 2 ? 2 : 4
      text.copy(littleEndian(block, at, bytes), 1 + (tag >>> 2))
      at += bytes
    }
  }
}

function littleEndian(block: Buffer, at: number, bytes: number): number {
  if (at + bytes > block.length) throw new MalformedError('an element is cut off')
  return block.readUIntLE(at, bytes)
}

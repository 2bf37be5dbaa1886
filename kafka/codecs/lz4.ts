import { MalformedError, Text, TextLength, type TextParts } from './text.ts'

/** The header of a frame (https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md): magic number, flags, block size. */
const MAGIC = 0x184d2204
const VERSION = 0b01
const HAS_BLOCK_CHECKSUMS = 0b1_0000
const HAS_TEXT_LENGTH = 0b1000
const HAS_DICTIONARY = 0b1
const FLAGS_AT = 4
/** With a checksum of one byte. */
const HEADER_BYTES = 7
const TEXT_LENGTH_BYTES = 8
const CHECKSUM_BYTES = 4
/** Added to the size of a block that is not compressed. */
const UNCOMPRESSED = 0x80000000

/**
 * Decompresses a frame of LZ4. Checksums are not compared: Kafka has compared that of the whole batch, and early clients
 * computed the header's in a way of their own.
 *
 * @throws {MalformedError}
 * @throws {TooLargeError} before memory for more than `limit` bytes is allocated
 */
export function decompressLz4(bytes: Buffer, limit: number): Buffer {
  // The frame is read twice, first to find out how long the text is: the length in the header may be wrong.
  const length = new TextLength(limit)
  readFrame(bytes, length)
  const text = new Text(length.bytes)
  readFrame(bytes, text)
  return text.whole()
}

function readFrame(bytes: Buffer, text: TextParts): void {
  const { start, checksumBytes } = readHeader(bytes)
  for (let at = start; ; ) {
    if (at + 4 > bytes.length) throw new MalformedError('the frame has no end')
    const size = bytes.readUInt32LE(at)
    at += 4
    if (size === 0) return
    const length = size % UNCOMPRESSED
    if (at + length > bytes.length) throw new MalformedError('a block is cut off')
    if (size >= UNCOMPRESSED) text.literal(bytes, at, length)
    else readBlock(bytes.subarray(at, at + length), text)
    at += length + checksumBytes
  }
}

/** Where the first block starts, and how long the checksum after each block is. */
function readHeader(bytes: Buffer): { start: number; checksumBytes: number } {
  if (bytes.length < HEADER_BYTES || bytes.readUInt32LE(0) !== MAGIC)
    throw new MalformedError('it is not an LZ4 frame')
  const flags = bytes[FLAGS_AT]!
  if (flags >>> 6 !== VERSION) throw new MalformedError('the frame has an unknown version')
  if ((flags & HAS_DICTIONARY) !== 0) throw new MalformedError('the frame needs a dictionary')
  return {
    start: HEADER_BYTES + ((flags & HAS_TEXT_LENGTH) === 0 ? 0 : TEXT_LENGTH_BYTES),
    checksumBytes: (flags & HAS_BLOCK_CHECKSUMS) === 0 ? 0 : CHECKSUM_BYTES,
  }
}

/** The shortest copy, which is not part of the length in the block. */
const LEAST_COPY = 4
/** A length in a token that the bytes after it continue. */
const CONTINUED = 15

/** Sequences of a literal and a copy (https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md); the last has no copy. */
function readBlock(block: Buffer, text: TextParts): void {
  let at = 0
  while (at < block.length) {
    const token = block[at]!
    at += 1
    let literal = token >>> 4
    if (literal === CONTINUED) {
      const end = continuationEnd(block, at)
      literal += continuation(block, at, end)
      at = end
    }
    text.literal(block, at, literal)
    at += literal
    if (at === block.length) return
    if (at + 2 > block.length) throw new MalformedError('a sequence is cut off')
    const distance = block.readUInt16LE(at)
    at += 2
    let copy = token & 0xf
    if (copy === CONTINUED) {
      const end = continuationEnd(block, at)
      copy += continuation(block, at, end)
      at = end
    }
    text.copy(distance, copy + LEAST_COPY)
  }
}

/** A length is continued by bytes of 255 and one that is less. */
function continuationEnd(block: Buffer, start: number): number {
  let at = start
  while (block[at] === 255) at += 1
  if (at >= block.length) throw new MalformedError('a length is cut off')
  return at + 1
}

function continuation(block: Buffer, start: number, end: number): number {
  return 255 * (end - 1 - start) + block[end - 1]!
}

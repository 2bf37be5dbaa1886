/** Decompresses request bodies, within limits of size, memory and number at once (I7). */
import { promisify } from 'node:util'
import { brotliDecompress, gunzip, inflate, inflateRaw } from 'node:zlib'
import { inflateFirst, unzstd } from '../../platform/inflate.ts'
import type { MemoryBudget } from '../memory-budget.ts'

const KIB = 1024
const MIB = 1024 * KIB

/** The threads of libuv's pool, in which zlib works: more at once would only hold memory. */
const MAX_AT_ONCE = 4

/** RFC 9659: a zstd body must not need a window of more than 8 MiB. */
const ZSTD_WINDOW_LOG = 23

interface Coding {
  /** Rejects with ERR_BUFFER_TOO_LARGE above `maxBytes`, and with other errors for a body that is not valid. */
  decode: (body: Buffer, maxBytes: number) => Promise<Buffer>
  /**
   * Memory besides the input and the output, of which at most `maxBytes` are written. A window is only as large as the
   * output, because what was not written takes no memory.
   */
  stateBytes: (maxBytes: number) => number
}

/** Its window of 32 KiB, its tables, an output chunk. */
const zlibState = (): number => 64 * KIB
const gzip: Coding = {
  decode: async (body, maxOutputLength) => await promisify(gunzip)(body, { maxOutputLength }),
  stateBytes: zlibState,
}

/** By the name in Content-Encoding (https://www.iana.org/assignments/http-parameters). */
const CODINGS: Record<string, Coding> = {
  gzip,
  'x-gzip': gzip, // the same (RFC 9110 section 8.4.1.3)
  deflate: {
    // The zlib format (RFC 9110 section 8.4.1.2), but some clients send the bare stream, whose first byte differs.
    decode: async (body, maxBytes) =>
      await whole((body[0]! & 0x0f) === 8 ? inflate : inflateRaw, body, maxBytes),
    stateBytes: zlibState,
  },
  br: {
    decode: async (body, maxBytes) => await whole(brotliDecompress, body, maxBytes),
    // Up to 256 trees each for literals, lengths and distances.
    stateBytes: (maxBytes) => 4 * MIB + maxBytes,
  },
  zstd: {
    decode: async (body, maxBytes) => await unzstd(body, maxBytes, ZSTD_WINDOW_LOG),
    stateBytes: (maxBytes) => 512 * KIB + maxBytes,
  },
}

/** For Accept-Encoding. */
export const CODING_NAMES = Object.keys(CODINGS)
  .filter((name) => name !== 'x-gzip')
  .join(', ')

export type Decompressed =
  | { kind: 'body'; body: Buffer }
  /** The budget has no room. */
  | { kind: 'no-memory' }
  | { kind: 'too-large' }
  | { kind: 'invalid' }

/** Whether bodies with this Content-Encoding can be read. */
export function isCoding(name: string): boolean {
  return Object.hasOwn(CODINGS, name)
}

let running = 0
const waiting: (() => void)[] = []

/**
 * Decompresses a body. Never rejects.
 *
 * @param coding a name for which isCoding() is true
 * @param maxBytes limit for the result
 * @param budget charged for the body, also while it waits for its turn, and then for all that decompressing takes
 */
export async function decompress(
  body: Buffer,
  coding: string,
  maxBytes: number,
  budget: MemoryBudget,
): Promise<Decompressed> {
  const bodyBytes = body.buffer.byteLength
  if (!budget.take(bodyBytes)) return { kind: 'no-memory' }
  if (running < MAX_AT_ONCE) running++
  else await new Promise<void>((resolve) => waiting.push(resolve))
  const { decode, stateBytes } = CODINGS[coding]!
  // Within a small budget there must be room for each of those that run.
  const bytes = Math.min(maxBytes + stateBytes(maxBytes), budget.limitBytes / MAX_AT_ONCE)
  try {
    if (!budget.take(bytes)) return { kind: 'no-memory' }
    try {
      return { kind: 'body', body: await decode(body, maxBytes) }
    } catch (error) {
      const isTooLarge = (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE'
      return { kind: isTooLarge ? 'too-large' : 'invalid' }
    } finally {
      budget.giveBack(bytes)
    }
  } finally {
    budget.giveBack(bodyBytes)
    const next = waiting.shift()
    if (next === undefined) running--
    else next()
  }
}

/** Decodes a body that must end where its compressed data end. */
async function whole(
  decode: typeof inflate | typeof brotliDecompress,
  body: Buffer,
  maxOutputLength: number,
): Promise<Buffer> {
  const { text, readBytes } = await inflateFirst(decode, body, { maxOutputLength })
  if (readBytes < body.length) throw new Error('there are bytes after the end')
  return text
}

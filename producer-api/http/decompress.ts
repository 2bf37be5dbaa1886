/** Decompresses request bodies, within limits of size, memory and number at once (I7). */
import {
  brotliDecompress,
  constants,
  gunzip,
  inflate,
  inflateRaw,
  type InputType,
  zstdDecompress,
} from 'node:zlib'
import type { MemoryBudget } from '../memory-budget.ts'

const KIB = 1024
const MIB = 1024 * KIB

/** The threads of libuv's pool, in which zlib works: more at once would only hold memory. */
const MAX_AT_ONCE = 4

/** RFC 9659: a zstd body must not need a window of more than 8 MiB. */
const ZSTD_WINDOW_LOG = 23

type Done = (error: Error | null, inflated: Buffer) => void

interface Coding {
  decode: (body: InputType, options: { maxOutputLength: number }, done: Done) => void
  /**
   * Memory besides the input and the output, of which at most `maxBytes` are written. A window is only as large as the
   * output, because what was not written takes no memory.
   */
  stateBytes: (maxBytes: number) => number
}

/** Its window of 32 KiB, its tables, an output chunk. */
const zlibState = (): number => 64 * KIB
const gzip: Coding = { decode: gunzip, stateBytes: zlibState }

/** By the name in Content-Encoding (https://www.iana.org/assignments/http-parameters). */
const CODINGS: Record<string, Coding> = {
  gzip,
  'x-gzip': gzip, // the same (RFC 9110 section 8.4.1.3)
  deflate: { decode: inflateEither, stateBytes: zlibState },
  // Up to 256 trees each for literals, lengths and distances.
  br: { decode: brotliDecompress, stateBytes: (maxBytes) => 4 * MIB + maxBytes },
  zstd: {
    decode: (body, options, done) => {
      zstdDecompress(body, { ...options, params: { [constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG } }, done)
    },
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
  const bytes = maxBytes + stateBytes(maxBytes)
  try {
    if (!budget.take(bytes)) return { kind: 'no-memory' }
    return await new Promise((resolve) => {
      decode(body, { maxOutputLength: maxBytes }, (error, inflated) => {
        budget.giveBack(bytes)
        const { code } = (error ?? {}) as NodeJS.ErrnoException
        if (error === null) resolve({ kind: 'body', body: inflated })
        else resolve({ kind: code === 'ERR_BUFFER_TOO_LARGE' ? 'too-large' : 'invalid' })
      })
    })
  } finally {
    budget.giveBack(bodyBytes)
    const next = waiting.shift()
    if (next === undefined) running--
    else next()
  }
}

/** `deflate` is the zlib format (RFC 9110 section 8.4.1.2), but some clients send the bare stream, whose first byte differs. */
function inflateEither(body: InputType, options: { maxOutputLength: number }, done: Done): void {
  const isZlib = ((body as Buffer)[0]! & 0x0f) === 8
  ;(isZlib ? inflate : inflateRaw)(body, options, done)
}

import type { IncomingMessage, ServerResponse } from 'node:http'
import { CODING_NAMES, decompress, isCoding } from './decompress.ts'
import type { MemoryBudget } from '../memory-budget.ts'
import type { ProblemKind } from './problem.ts'

export type ReadBody =
  | { kind: 'body'; body: Buffer }
  | {
      kind: 'refused'
      problem: ProblemKind
      detail: string
      headers?: Record<string, string>
      reason?: 'buffer_full'
    }
  /** The client disconnected. */
  | { kind: 'aborted' }

const ABORTED: ReadBody = { kind: 'aborted' }

/** The memory budget for requests being read is used up. */
export const NO_MEMORY = {
  kind: 'refused',
  problem: 'not-accepted',
  detail: 'Too many requests are being read at once; nothing was accepted.',
  headers: { 'Retry-After': '1' },
  reason: 'buffer_full',
} as const satisfies ReadBody

const NOTHING = Buffer.alloc(0)

/**
 * Reads a whole body into memory: at most `maxBytes`, before and after decompression. Never rejects.
 *
 * @param response used to send `100 Continue` if the client waits for it
 * @param budget charged while the body is read; if it has no room, the request is refused with 503
 */
export async function readBody(
  request: IncomingMessage,
  response: ServerResponse,
  maxBytes: number,
  budget: MemoryBudget,
): Promise<ReadBody> {
  const coding = request.headers['content-encoding']?.toLowerCase() || 'identity'
  if (coding !== 'identity' && !isCoding(coding)) {
    return {
      kind: 'refused',
      problem: 'unsupported-media-type',
      detail: `The content encoding must be one of ${CODING_NAMES}, or absent.`,
      headers: { 'Accept-Encoding': CODING_NAMES },
    }
  }
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) return tooLarge(maxBytes)
  if (request.headers.expect !== undefined) response.writeContinue()
  const read = await collect(request, maxBytes, budget)
  return read.kind === 'body' && coding !== 'identity' ? inflated(read.body, coding, maxBytes, budget) : read
}

function collect(request: IncomingMessage, maxBytes: number, budget: MemoryBudget): Promise<ReadBody> {
  return new Promise((resolve) => {
    const body = new BodyBuffer(maxBytes, budget)
    const settle = (result: ReadBody): void => {
      body.release()
      request.off('data', onData)
      request.off('end', onEnd)
      request.off('close', onClose)
      resolve(result)
    }
    const onData = (chunk: Buffer): void => {
      const fits = body.length + chunk.length <= maxBytes
      if (fits && body.append(chunk)) return
      request.pause()
      settle(fits ? NO_MEMORY : tooLarge(maxBytes))
    }
    const onEnd = (): void => settle({ kind: 'body', body: body.bytes })
    const onClose = (): void => settle(ABORTED)
    request.on('data', onData)
    request.on('end', onEnd)
    request.on('close', onClose)
    // An aborted request emits 'error' before 'close'; onClose settles it.
    request.on('error', ignore)
  })
}

/**
 * A request body in one contiguous buffer, however it was split on the way. Node allocates about 400 bytes for each HTTP
 * chunk and each TCP segment, even for a single byte. None of these objects is kept here, so the memory of a body
 * depends only on its length (I7).
 */
export class BodyBuffer {
  readonly #budget: MemoryBudget
  readonly #maxBytes: number
  /** The first chunk itself while it is the only one: most bodies arrive in one chunk and are not copied. */
  #memory: Buffer = NOTHING
  #length = 0

  /** @param budget charged for the memory held, at most twice the length, until release() */
  constructor(maxBytes: number, budget: MemoryBudget) {
    this.#maxBytes = maxBytes
    this.#budget = budget
  }

  /** Bytes received so far. */
  get length(): number {
    return this.#length
  }

  /** The bytes received so far, as a view. */
  get bytes(): Buffer {
    return this.#memory.subarray(0, this.#length)
  }

  /**
   * Appends a chunk; the length must stay within `maxBytes`.
   *
   * @returns false if the budget has no room; nothing was appended then
   */
  append(chunk: Buffer): boolean {
    const length = this.#length + chunk.length
    if (this.#length === 0) {
      if (!this.#budget.take(chunk.length)) return false
      this.#memory = chunk
    } else {
      if (length > this.#memory.length && !this.#grow(length)) return false
      chunk.copy(this.#memory, this.#length)
    }
    this.#length = length
    return true
  }

  /** Returns the memory to the budget. The view from `bytes` stays valid, but is no longer charged. */
  release(): void {
    this.#budget.giveBack(this.#memory.length)
    this.#memory = NOTHING
    this.#length = 0
  }

  #grow(length: number): boolean {
    const capacity = Math.min(2 * length, this.#maxBytes)
    if (!this.#budget.take(capacity - this.#memory.length)) return false
    // Not from Node's buffer pool: a small slice would keep the whole pool alive.
    const larger = Buffer.allocUnsafeSlow(capacity)
    this.#memory.copy(larger, 0, 0, this.#length)
    this.#memory = larger
    return true
  }
}

async function inflated(
  body: Buffer,
  coding: string,
  maxBytes: number,
  budget: MemoryBudget,
): Promise<ReadBody> {
  const result = await decompress(body, coding, maxBytes, budget)
  switch (result.kind) {
    case 'body':
      return result
    case 'no-memory':
      return NO_MEMORY
    case 'too-large':
      return tooLarge(maxBytes)
    case 'invalid':
      return {
        kind: 'refused',
        problem: 'bad-request',
        detail: `Content-Encoding is ${coding}, but the body is not valid ${coding}.`,
      }
  }
}

function tooLarge(maxBytes: number): ReadBody {
  return {
    kind: 'refused',
    problem: 'too-large',
    detail: `The body must be at most ${maxBytes} bytes long after decompression.`,
  }
}

function ignore(): void {}

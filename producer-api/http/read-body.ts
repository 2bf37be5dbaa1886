import type { IncomingMessage, ServerResponse } from 'node:http'
import { gunzip } from 'node:zlib'
import { BodyBuffer } from './body-buffer.ts'
import type { MemoryBudget } from '../memory-budget.ts'
import type { ProblemKind } from './problem.ts'

export type ReadBody =
  | { kind: 'body'; body: Buffer }
  | { kind: 'refused'; problem: ProblemKind; detail: string; headers?: Record<string, string> }
  /** The client disconnected. */
  | { kind: 'aborted' }

const ABORTED: ReadBody = { kind: 'aborted' }

/** The memory budget for requests being read is used up. */
export const NO_MEMORY = {
  kind: 'refused',
  problem: 'not-accepted',
  detail: 'Too many requests are being read at once; nothing was accepted.',
  headers: { 'Retry-After': '1' },
} as const satisfies ReadBody

/** Memory of zlib besides input and output: its window of 32 KiB, its tables, an output chunk. */
const INFLATE_STATE_BYTES = 64 * 1024

/** After a refusal, the rest of the body is read and discarded up to these limits, so that the client reads the response. */
const LINGER_MS = 1_000
const LINGER_BYTES = 4 * 1024 * 1024

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
  const encoding = request.headers['content-encoding']
  if (encoding !== undefined && encoding !== 'identity' && encoding.toLowerCase() !== 'gzip') {
    return {
      kind: 'refused',
      problem: 'unsupported-media-type',
      detail: 'The content encoding must be gzip or absent.',
      headers: { 'Accept-Encoding': 'gzip' },
    }
  }
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) return tooLarge(maxBytes)
  if (request.headers.expect !== undefined) response.writeContinue()
  const read = await collect(request, maxBytes, budget)
  if (read.kind !== 'body' || encoding === undefined || encoding === 'identity') return read
  return inflate(read.body, maxBytes, budget)
}

/**
 * Responds before the whole request body has arrived. The response is sent at once with `Connection: close`; the
 * connection is closed when the body has ended or a limit is reached. Closing it immediately would make the kernel
 * reset the connection, and the client would often not see the response.
 */
export function endAndLinger(request: IncomingMessage, response: ServerResponse, body: string): void {
  response.setHeader('Connection', 'close')
  response.setHeader('Content-Length', Buffer.byteLength(body))
  response.write(body)
  let discardedBytes = 0
  const end = (): void => {
    clearTimeout(timer)
    response.end()
  }
  const timer = setTimeout(end, LINGER_MS)
  request.on('data', (chunk: Buffer) => {
    discardedBytes += chunk.length
    if (discardedBytes > LINGER_BYTES) end()
  })
  request.once('end', end)
  request.once('close', end)
  request.on('error', end)
  request.resume()
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

async function inflate(body: Buffer, maxBytes: number, budget: MemoryBudget): Promise<ReadBody> {
  const bytes = body.buffer.byteLength + maxBytes + INFLATE_STATE_BYTES
  if (!budget.take(bytes)) return NO_MEMORY
  return new Promise((resolve) => {
    gunzip(body, { maxOutputLength: maxBytes }, (error, inflated) => {
      budget.giveBack(bytes)
      if (error === null) resolve({ kind: 'body', body: inflated })
      else if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') resolve(tooLarge(maxBytes))
      else {
        const detail = 'Content-Encoding is gzip, but the body is not valid gzip.'
        resolve({ kind: 'refused', problem: 'bad-request', detail })
      }
    })
  })
}

function tooLarge(maxBytes: number): ReadBody {
  return {
    kind: 'refused',
    problem: 'too-large',
    detail: `The body must be at most ${maxBytes} bytes long after decompression.`,
  }
}

function ignore(): void {}

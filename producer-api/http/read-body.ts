import type { IncomingMessage, ServerResponse } from 'node:http'
import { gunzip } from 'node:zlib'
import { BodyBuffer } from './body-buffer.ts'
import type { MemoryBudget } from '../memory-budget.ts'
import type { ProblemKind } from './problem.ts'

export type ReadBody =
  | { kind: 'body'; body: Buffer }
  | { kind: 'refused'; problem: ProblemKind; detail: string; headers?: Record<string, string> }
  /** The client went away: there is nobody to answer. */
  | { kind: 'aborted' }

const ABORTED: ReadBody = { kind: 'aborted' }

/** The memory for requests that are being read is used up. */
export const NO_MEMORY = {
  kind: 'refused',
  problem: 'not-accepted',
  detail: 'Too many requests are being read at once; nothing was kept.',
  headers: { 'Retry-After': '1' },
} as const satisfies ReadBody

/** What zlib keeps beside input and output: its window of 32 KiB, its tables, a piece of output. */
const INFLATE_STATE_BYTES = 64 * 1024

/** After a refusal the rest of the body is read and dropped within these, so that the client gets to the answer. */
const LINGER_MS = 1_000
const LINGER_BYTES = 4 * 1024 * 1024

/**
 * Reads a whole body into memory, at most `maxBytes` of it, inflated or not. Never rejects.
 *
 * @param response asked to send `100 Continue` when the client waits for it
 * @param budget used while the body is read; without room in it the answer is 503
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
      detail: 'The content encoding must be gzip, or none.',
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
 * Ends an answer that was given before the whole body had come: the answer goes out at once, with `Connection:
 * close`, and the connection is closed once the body is through or a bound is reached. Closing right away would make
 * the kernel reset the connection, and the client would often never see the answer.
 */
export function endAndLinger(request: IncomingMessage, response: ServerResponse, body: string): void {
  response.setHeader('Connection', 'close')
  response.setHeader('Content-Length', Buffer.byteLength(body))
  response.write(body)
  let dropped = 0
  const end = (): void => {
    clearTimeout(timer)
    response.end()
  }
  const timer = setTimeout(end, LINGER_MS)
  request.on('data', (chunk: Buffer) => {
    dropped += chunk.length
    if (dropped > LINGER_BYTES) end()
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
    // An aborted request emits an error before it closes; 'close' is what settles.
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
        const detail = 'The body is not valid gzip, as Content-Encoding says.'
        resolve({ kind: 'refused', problem: 'bad-request', detail })
      }
    })
  })
}

function tooLarge(maxBytes: number): ReadBody {
  return {
    kind: 'refused',
    problem: 'too-large',
    detail: `The body must be at most ${maxBytes} bytes long, inflated.`,
  }
}

function ignore(): void {}

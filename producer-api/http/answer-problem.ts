import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Context } from 'koa'
import { PROBLEM_CONTENT_TYPE, type ProblemExtensions, type ProblemKind, problem } from './problem.ts'

/** After a refusal, the rest of the body is read and discarded up to these limits, so that the client reads the response. */
const LINGER_MS = 1_000
const LINGER_BYTES = 4 * 1024 * 1024

/**
 * Responds with a problem document. `detail` is logged: it must not repeat what the client sent. The rest of an
 * unfinished request body is discarded; unless it is known to be short, the connection is closed too.
 */
export function answerProblem(
  ctx: Context,
  kind: ProblemKind,
  detail: string,
  extensions: ProblemExtensions = {},
): void {
  const body = problem(kind, detail, extensions)
  ctx.status = body.status
  ctx.set('Content-Type', PROBLEM_CONTENT_TYPE)
  ctx.state.problem = kind
  ctx.state.detail = detail
  const text = JSON.stringify(body)
  if (bodyOutstanding(ctx.req)) {
    ctx.respond = false
    endAndLinger(ctx.req, ctx.res, text)
  } else {
    ctx.body = text
    // Setting the body makes Koa set its own content type.
    ctx.set('Content-Type', PROBLEM_CONTENT_TYPE)
  }
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

/** Node discards a remainder up to this size itself, and the connection stays open. */
const SHORT_BODY_BYTES = 64 * 1024

function bodyOutstanding(request: IncomingMessage): boolean {
  if (request.complete) return false
  // A client waiting for 100 Continue may or may not send its body: the next bytes are ambiguous.
  if (request.headers.expect !== undefined) return true
  if (request.headers['transfer-encoding'] !== undefined) return true
  return Number(request.headers['content-length'] ?? 0) > SHORT_BODY_BYTES
}

import type { IncomingMessage } from 'node:http'
import type { Context } from 'koa'
import { PROBLEM_CONTENT_TYPE, type ProblemExtensions, type ProblemKind, problem } from './problem.ts'
import { endAndLinger } from './read-body.ts'

/**
 * Responds with a problem document. The rest of an unfinished request body is discarded; unless it is known to be
 * short, the connection is closed too.
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

/** Node discards a remainder up to this size itself, and the connection stays open. */
const SHORT_BODY_BYTES = 64 * 1024

function bodyOutstanding(request: IncomingMessage): boolean {
  if (request.complete) return false
  // A client waiting for 100 Continue may or may not send its body: the next bytes are ambiguous.
  if (request.headers.expect !== undefined) return true
  if (request.headers['transfer-encoding'] !== undefined) return true
  return Number(request.headers['content-length'] ?? 0) > SHORT_BODY_BYTES
}

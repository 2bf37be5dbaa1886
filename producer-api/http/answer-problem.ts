import type { IncomingMessage } from 'node:http'
import type { Context } from 'koa'
import { PROBLEM_CONTENT_TYPE, type ProblemExtensions, type ProblemKind, problem } from './problem.ts'
import { endAndLinger } from './read-body.ts'

/** Answers with a problem document; a body that has not come yet is dropped, and its connection closed if it is long. */
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
    // Koa sets a type of its own with the body.
    ctx.set('Content-Type', PROBLEM_CONTENT_TYPE)
  }
}

/** Node itself drops a short rest, and the connection lives on. */
const SHORT_BODY_BYTES = 64 * 1024

function bodyOutstanding(request: IncomingMessage): boolean {
  if (request.complete) return false
  // A client that waited for 100 Continue may send its body now, or not: what comes next could be either.
  if (request.headers.expect !== undefined) return true
  if (request.headers['transfer-encoding'] !== undefined) return true
  return Number(request.headers['content-length'] ?? 0) > SHORT_BODY_BYTES
}

/**
 * The fast path of `POST /event` and `/events`: answers ordinary requests without Koa, whose context, middleware and
 * router take more time than the event itself. Both share ingest.ts; any response other than a plain 202 is left to Koa.
 *
 * This is only an optimization: Koa handles every request the same way.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { corsHeaders } from './cors.ts'
import { type HeadLimits, isOverLimit } from './head-limits.ts'
import type { Ingested } from '../intake/answer.ts'
import type { Ingest, Path } from '../intake/ingest.ts'
import type { PageOrigins } from './page-origins.ts'
import type { RequestHandler } from './pipeline-limit.ts'
import { requestId } from './request-id.ts'

export interface FastPathOptions {
  ingest: Ingest
  /** Koa's handler. */
  general: RequestHandler
  pageOrigins: PageOrigins
  headLimits: HeadLimits
  /** True during shutdown, when Koa must send the response because it sets `Connection: close`. */
  draining: () => boolean
}

/** Handles ordinary requests, and passes the rest to `general`. */
export function fastPath(options: FastPathOptions): RequestHandler {
  const { ingest, general, pageOrigins, headLimits, draining } = options
  const corsHeadersFor = corsHeaders(pageOrigins)
  const handle = async (path: Path, request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const ingested = await ingest
      .ingest(path, request, response)
      .catch((error: unknown): Ingested => ({ kind: 'broken', error }))
    if (ingested.kind === 'accepted' && !draining()) {
      answerAccepted(request, response, ingested.body, corsHeadersFor(request.headers.origin))
      return
    }
    ingest.handOver(request, ingested)
    general(request, response)
  }
  return (request, response) => {
    const path = fastPathOf(request, headLimits)
    if (path === undefined) general(request, response)
    else handle(path, request, response).catch(() => response.destroy())
  }
}

/** The path of an ordinary request; undefined if it needs Koa (other methods, `Expect`, no Host, a head over its limits). */
function fastPathOf(request: IncomingMessage, headLimits: HeadLimits): Path | undefined {
  const { method, url, headers } = request
  if (method !== 'POST' || headers.host === undefined || headers.expect !== undefined) return undefined
  if (isOverLimit(request, headLimits)) return undefined
  return url === '/event' || url === '/events' ? url : pathBeforeQuery(url ?? '')
}

/** Pages may send their key in the query (front-door/credential.ts); the rest of it says nothing here. */
function pathBeforeQuery(url: string): Path | undefined {
  if (url.startsWith('/event?')) return '/event'
  return url.startsWith('/events?') ? '/events' : undefined
}

function answerAccepted(
  request: IncomingMessage,
  response: ServerResponse,
  body: string,
  cors: readonly string[],
): void {
  response.writeHead(202, [
    'X-Request-Id',
    requestId(request.headers['x-request-id']),
    ...cors,
    'Content-Type',
    'application/json',
    'Content-Length',
    String(body.length), // ASCII
  ])
  response.end(body)
}

/**
 * The fast path of `POST /event` and `/events`: a request as nearly all are is answered without Koa, whose context, middlewares and
 * router take more time than all that the event itself needs. It shares with Koa's handler everything up to the answer
 * (ingest.ts), and whatever is not a plain 202 is left for Koa to answer.
 *
 * Without this file everything works the same, slower.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { hasTooManyHeaders } from './server.ts'
import type { Ingest, Ingested, Path } from '../intake/ingest.ts'
import type { RequestHandler } from './pipeline-limit.ts'
import { requestId } from './request-id.ts'

export interface FastPathOptions {
  ingest: Ingest
  /** Koa. */
  general: RequestHandler
  /** Whether connections should end with their next answer: Koa's to say. */
  draining: () => boolean
}

/** Takes what is usual, and leaves the rest to Koa. */
export function fastPath({ ingest, general, draining }: FastPathOptions): RequestHandler {
  const handle = async (path: Path, request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const ingested = await ingest
      .ingest(path, request, response)
      .catch((error: unknown): Ingested => ({ kind: 'broken', error }))
    if (ingested.kind === 'accepted' && !draining()) {
      answerAccepted(request, response, ingested.body)
      return
    }
    ingest.handOver(request, ingested)
    general(request, response)
  }
  return (request, response) => {
    const path = usualPath(request)
    if (path === undefined) general(request, response)
    else handle(path, request, response).catch(() => response.destroy())
  }
}

/** The path, if Koa would answer the request no differently: no preflight, no `100 Continue`, a Host, not too many headers. */
function usualPath(request: IncomingMessage): Path | undefined {
  const { method, url, headers } = request
  if (method !== 'POST' || headers.host === undefined || headers.expect !== undefined) return undefined
  if (hasTooManyHeaders(request)) return undefined
  return url === '/event' || url === '/events' ? url : undefined
}

function answerAccepted(request: IncomingMessage, response: ServerResponse, body: string): void {
  response.writeHead(202, [
    'X-Request-Id',
    requestId(request.headers['x-request-id']),
    'Content-Type',
    'application/json',
    'Content-Length',
    String(body.length), // ASCII
  ])
  response.end(body)
}

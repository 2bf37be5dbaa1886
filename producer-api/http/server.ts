import { createServer, type Server, ServerResponse, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import type { MemoryBudget } from '../memory-budget.ts'
import { corsHeaders } from './cors.ts'
import { type HeadLimits, headLimitsText, SPARE_BYTES } from './head-limits.ts'
import type { PageOrigins } from './page-origins.ts'
import { limitPipelining, type RequestHandler } from './pipeline-limit.ts'
import { PROBLEM_CONTENT_TYPE, type ProblemKind, problem } from './problem.ts'
import { requestId } from './request-id.ts'

const LONGEST_HEADERS_MS = 10_000
/** Added to the longest time that a healthy request may be silent while its body or Kafka is awaited. */
const SILENCE_MARGIN_MS = 5_000

interface Refusal {
  kind: ProblemKind
  detail: string
}

/** Problems by the error codes of Node's HTTP parser. */
const PARSER_PROBLEMS: Record<string, Refusal> = {
  HPE_CHUNK_EXTENSIONS_OVERFLOW: { kind: 'too-large', detail: 'The chunk extensions are too long.' },
  ERR_HTTP_REQUEST_TIMEOUT: { kind: 'request-timeout', detail: 'The request took too long to arrive.' },
}
const NOT_HTTP: Refusal = { kind: 'bad-request', detail: 'The request could not be parsed as HTTP/1.1.' }

export interface HttpServer {
  server: Server
  /** Closes idle connections, unless a response on any connection is still being sent. */
  endIdle: () => void
}

export interface HttpServerOptions {
  requestTimeoutMs: number
  deliveryTimeoutMs: number
  keepAliveMs: number
  maxConnections: number
  headLimits: HeadLimits
  pageOrigins: PageOrigins
  /** Charged for requests that wait for earlier ones of their connection. */
  pending: MemoryBudget
  /** Called for each connection that is closed for too many unanswered requests. */
  onCut: () => void
  /** Called for each connection that is closed because there are too many connections. */
  onRefused: () => void
}

/**
 * An HTTP server that also responds to parser errors with problem+json.
 *
 * @param handler receives every request, including those without a Host and those that wait for `100 Continue` (which
 *   it must send)
 */
export function createHttpServer(handler: RequestHandler, options: HttpServerOptions): HttpServer {
  const { requestTimeoutMs, deliveryTimeoutMs } = options
  const server = createServer({
    requireHostHeader: false,
    keepAliveTimeout: options.keepAliveMs,
    maxHeaderSize: options.headLimits.maxHeaderBytes + SPARE_BYTES,
    requestTimeout: requestTimeoutMs,
    headersTimeout: Math.min(requestTimeoutMs, LONGEST_HEADERS_MS),
    connectionsCheckingInterval: Math.min(requestTimeoutMs, 5_000),
  })
  // Closes connections of clients that never read their responses; no other timeout does.
  server.timeout = Math.max(requestTimeoutMs, deliveryTimeoutMs) + SILENCE_MARGIN_MS
  // One more than allowed: some versions of Node refuse further headers, others drop them silently.
  server.maxHeadersCount = options.headLimits.maxHeaders + 1
  server.maxConnections = options.maxConnections
  server.on('drop', options.onRefused)
  const { limited, hasPendingResponses } = limitPipelining(handler, options.pending, options.onCut)
  server.on('request', limited)
  server.on('checkContinue', limited)
  server.on('checkExpectation', limited)
  server.on('clientError', parserErrorHandler(options))
  const endIdle = (): void => {
    // Node considers a connection idle once its last response was written, even if most of it is not yet sent.
    if (!hasPendingResponses()) server.closeIdleConnections()
  }
  return { server, endIdle }
}

/** Answers requests that Node's parser refuses, with the headers that let a page read the response. */
function parserErrorHandler({ headLimits, pageOrigins }: HttpServerOptions) {
  const corsHeadersFor = corsHeaders(pageOrigins)
  const tooLarge: Refusal = { kind: 'headers-too-large', detail: headLimitsText(headLimits) }
  return (error: NodeJS.ErrnoException & { rawPacket?: Buffer }, socket: Duplex): void => {
    // Node's internal property for the response that this connection is waiting for.
    const current: unknown = Reflect.get(socket, '_httpMessage')
    const response = current instanceof ServerResponse ? current : undefined
    // A complete request before the malformed data may have been accepted: no response is better than a wrong one.
    const tooLate = response !== undefined && (response.headersSent || response.req.complete)
    if (error.code === 'ECONNRESET' || !socket.writable || tooLate) {
      socket.destroy()
      return
    }
    const isTooLarge = error.code === 'HPE_HEADER_OVERFLOW'
    const { kind, detail } = isTooLarge ? tooLarge : (PARSER_PROBLEMS[error.code ?? ''] ?? NOT_HTTP)
    const origin = response?.req.headers.origin ?? originIn(error.rawPacket)
    socket.end(responseText(kind, detail, corsHeadersFor(origin)), () => socket.destroy())
  }
}

/** The Origin in the last piece of a head that was not read to its end; undefined if it came in an earlier one. */
function originIn(packet: Buffer | undefined): string | undefined {
  return /\r\norigin:[ \t]*(\S+)[ \t]*\r\n/i.exec(packet?.toString('latin1') ?? '')?.[1]
}

/** @param cors names and values in turn */
function responseText(kind: ProblemKind, detail: string, cors: readonly string[]): string {
  const body = problem(kind, detail)
  const text = JSON.stringify(body)
  const head = [
    `HTTP/1.1 ${body.status} ${STATUS_CODES[body.status]}`,
    `Content-Type: ${PROBLEM_CONTENT_TYPE}`,
    `Content-Length: ${Buffer.byteLength(text)}`,
    `X-Request-Id: ${requestId(undefined)}`,
    `Date: ${new Date().toUTCString()}`,
    'Connection: close',
    ...cors.flatMap((name, i) => (i % 2 === 0 ? [`${name}: ${cors[i + 1]}`] : [])),
  ]
  return `${head.join('\r\n')}\r\n\r\n${text}`
}

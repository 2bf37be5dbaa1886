import { createServer, type IncomingMessage, type Server, ServerResponse, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import type { MemoryBudget } from '../memory-budget.ts'
import { limitPipelining, type RequestHandler } from './pipeline-limit.ts'
import { PROBLEM_CONTENT_TYPE, type ProblemKind, problem } from './problem.ts'
import { requestId } from './request-id.ts'

/** Longer than the idle timeout of common load balancers (60 s): they must close first, or a request may be lost. */
const KEEP_ALIVE_MS = 75_000
const LONGEST_HEADERS_MS = 10_000
/**
 * Maximum number of headers, the default of Apache, Envoy and Tomcat. Each header has overhead: 900 of the shortest took
 * 100 KB of memory for 6 KB of text. Node's own limit is set one higher: some versions refuse further headers, others
 * silently drop them, and a request with missing headers must not be processed.
 */
const MAX_HEADERS = 100
/** Added to the longest time that a healthy request may be silent while its body or Kafka is awaited. */
const SILENCE_MARGIN_MS = 5_000

/** Problems by the error codes of Node's HTTP parser. */
const PARSER_PROBLEMS: Record<string, { kind: ProblemKind; detail: string }> = {
  HPE_HEADER_OVERFLOW: {
    kind: 'headers-too-large',
    detail: `A request must have at most ${MAX_HEADERS} headers of at most 16 KiB in total.`,
  },
  HPE_CHUNK_EXTENSIONS_OVERFLOW: { kind: 'too-large', detail: 'The chunk extensions are too long.' },
  ERR_HTTP_REQUEST_TIMEOUT: { kind: 'request-timeout', detail: 'The request took too long to arrive.' },
}
const NOT_HTTP = { kind: 'bad-request' as const, detail: 'The request could not be parsed as HTTP/1.1.' }

export interface HttpServer {
  server: Server
  /** Closes idle connections, unless a response on any connection is still being sent. */
  endIdle: () => void
}

/** True if the request has more headers than allowed. Some may be missing, so it must not be processed. */
export function hasTooManyHeaders({ rawHeaders }: IncomingMessage): boolean {
  return rawHeaders.length > 2 * MAX_HEADERS
}

export const TOO_MANY_HEADERS = `A request must have at most ${MAX_HEADERS} headers.`

export interface HttpServerOptions {
  requestTimeoutMs: number
  deliveryTimeoutMs: number
  maxConnections: number
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
    keepAliveTimeout: KEEP_ALIVE_MS,
    requestTimeout: requestTimeoutMs,
    headersTimeout: Math.min(requestTimeoutMs, LONGEST_HEADERS_MS),
    connectionsCheckingInterval: Math.min(requestTimeoutMs, 5_000),
  })
  // Closes connections of clients that never read their responses; no other timeout does.
  server.timeout = Math.max(requestTimeoutMs, deliveryTimeoutMs) + SILENCE_MARGIN_MS
  server.maxHeadersCount = MAX_HEADERS + 1
  server.maxConnections = options.maxConnections
  server.on('drop', options.onRefused)
  const { limited, hasPendingResponses } = limitPipelining(handler, options.pending, options.onCut)
  server.on('request', limited)
  server.on('checkContinue', limited)
  server.on('checkExpectation', limited)
  server.on('clientError', answerParserError)
  const endIdle = (): void => {
    // Node considers a connection idle once its last response was written, even if most of it is not yet sent.
    if (!hasPendingResponses()) server.closeIdleConnections()
  }
  return { server, endIdle }
}

function answerParserError(error: NodeJS.ErrnoException, socket: Duplex): void {
  // Node's internal property for the response that this connection is waiting for.
  const current: unknown = Reflect.get(socket, '_httpMessage')
  const response = current instanceof ServerResponse ? current : undefined
  // A complete request before the malformed data may have been accepted: no response is better than a wrong one.
  const tooLate = response !== undefined && (response.headersSent || response.req.complete)
  if (error.code === 'ECONNRESET' || !socket.writable || tooLate) {
    socket.destroy()
    return
  }
  const { kind, detail } = PARSER_PROBLEMS[error.code ?? ''] ?? NOT_HTTP
  const body = problem(kind, detail)
  const text = JSON.stringify(body)
  const head = [
    `HTTP/1.1 ${body.status} ${STATUS_CODES[body.status]}`,
    `Content-Type: ${PROBLEM_CONTENT_TYPE}`,
    `Content-Length: ${Buffer.byteLength(text)}`,
    `X-Request-Id: ${requestId(undefined)}`,
    `Date: ${new Date().toUTCString()}`,
    'Connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${text}`, () => socket.destroy())
}

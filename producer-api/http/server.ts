import { createServer, type IncomingMessage, type Server, ServerResponse, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import type { MemoryBudget } from '../memory-budget.ts'
import { limitPipelining, type RequestHandler } from './pipeline-limit.ts'
import { PROBLEM_CONTENT_TYPE, type ProblemKind, problem } from './problem.ts'
import { requestId } from './request-id.ts'

/** Longer than the idle limit of the usual load balancers (60 s), so that they close first and no request is lost. */
const KEEP_ALIVE_MS = 75_000
const LONGEST_HEADERS_MS = 10_000
/**
 * Headers of one request, as Apache, Envoy and Tomcat allow by default: each takes memory of its own, so that 900 of
 * the shortest took 100 KB where their text had 6. Node's own limit is one higher: some versions refuse what is past it,
 * others drop it without a word, and a request that has lost headers must not be read.
 */
const MAX_HEADERS = 100
/** Beyond the longest silence of a request that is well: its body, or Kafka, is waited for. */
const SILENCE_MARGIN_MS = 5_000

/** What the HTTP parser says, as the problem that the client is told. */
const PARSER_PROBLEMS: Record<string, { kind: ProblemKind; detail: string }> = {
  HPE_HEADER_OVERFLOW: {
    kind: 'headers-too-large',
    detail: `A request must have at most ${MAX_HEADERS} headers, which take at most 16 KiB together.`,
  },
  HPE_CHUNK_EXTENSIONS_OVERFLOW: { kind: 'too-large', detail: 'The chunk extensions are too long.' },
  ERR_HTTP_REQUEST_TIMEOUT: { kind: 'request-timeout', detail: 'The request took too long to arrive.' },
}
const NOT_HTTP = { kind: 'bad-request' as const, detail: 'The request could not be parsed as HTTP/1.1.' }

export interface HttpServer {
  server: Server
  /** Ends the connections that wait for nothing, unless an answer of any is still on its way. */
  endIdle: () => void
}

/** Whether the request has more headers than are looked at: it must not be read as if they were all. */
export function hasTooManyHeaders({ rawHeaders }: IncomingMessage): boolean {
  return rawHeaders.length > 2 * MAX_HEADERS
}

export const TOO_MANY_HEADERS = `A request must have at most ${MAX_HEADERS} headers.`

export interface HttpServerOptions {
  requestTimeoutMs: number
  deliveryTimeoutMs: number
  maxConnections: number
  /** Charged for requests that wait until earlier ones of their connection are answered. */
  pending: MemoryBudget
  /** Told of each connection that is ended for its many unanswered requests. */
  onCut: () => void
  /** Told of each connection that is ended because there are too many. */
  onRefused: () => void
}

/**
 * An HTTP server whose own refusals are problem+json too.
 *
 * @param handler takes every request, also those that wait for `100 Continue` (it must send it) or lack a Host
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
  // Ends clients that never read their answers: nothing else would, while their host lives.
  server.timeout = Math.max(requestTimeoutMs, deliveryTimeoutMs) + SILENCE_MARGIN_MS
  server.maxHeadersCount = MAX_HEADERS + 1
  server.maxConnections = options.maxConnections
  server.on('drop', options.onRefused)
  const { limited, owesAnswers } = limitPipelining(handler, options.pending, options.onCut)
  server.on('request', limited)
  server.on('checkContinue', limited)
  server.on('checkExpectation', limited)
  server.on('clientError', answerParserError)
  const endIdle = (): void => {
    // Node takes a connection for idle once its last answer was given to it, though most may still be unsent.
    if (!owesAnswers()) server.closeIdleConnections()
  }
  return { server, endIdle }
}

function answerParserError(error: NodeJS.ErrnoException, socket: Duplex): void {
  // Node's own name for the answer that this connection is waiting for.
  const waiting: unknown = Reflect.get(socket, '_httpMessage')
  const answer = waiting instanceof ServerResponse ? waiting : undefined
  // A whole request before the nonsense may have been accepted: rather no answer to it than a wrong one.
  const tooLate = answer !== undefined && (answer.headersSent || answer.req.complete)
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

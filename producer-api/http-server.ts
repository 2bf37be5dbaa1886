import { createServer, type IncomingMessage, type Server, ServerResponse, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { PROBLEM_CONTENT_TYPE, type ProblemKind, problem } from './problem.ts'
import { requestId } from './request-id.ts'

/** Longer than the idle limit of the usual load balancers (60 s), so that they close first and no request is lost. */
const KEEP_ALIVE_MS = 75_000
const LONGEST_HEADERS_MS = 10_000
/** Beyond the longest silence of a request that is well: its body, or Kafka, is waited for. */
const SILENCE_MARGIN_MS = 5_000

/**
 * Unanswered requests of one connection. Node reads 64 KiB of pipelined requests at once, some 2,000 of the shortest,
 * and would keep all of their answers for a client that does not read them (I7).
 */
const MAX_PIPELINED = 100

/** What the HTTP parser says, as the problem that the client is told. */
const PARSER_PROBLEMS: Record<string, { kind: ProblemKind; detail: string }> = {
  HPE_HEADER_OVERFLOW: {
    kind: 'headers-too-large',
    detail: 'The headers must take at most 16 KiB together.',
  },
  HPE_CHUNK_EXTENSIONS_OVERFLOW: { kind: 'too-large', detail: 'The chunk extensions are too long.' },
  ERR_HTTP_REQUEST_TIMEOUT: { kind: 'request-timeout', detail: 'The request took too long to arrive.' },
}
const NOT_HTTP = { kind: 'bad-request' as const, detail: 'The request could not be parsed as HTTP/1.1.' }

type RequestHandler = (request: IncomingMessage, response: ServerResponse) => void

/**
 * An HTTP server whose own refusals are problem+json too.
 *
 * @param handler takes every request, also those that wait for `100 Continue` (it must send it) or lack a Host
 */
export function createHttpServer(
  handler: RequestHandler,
  options: { requestTimeoutMs: number; deliveryTimeoutMs: number },
): Server {
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
  const limited = limitPipelining(handler)
  server.on('request', limited)
  server.on('checkContinue', limited)
  server.on('checkExpectation', limited)
  server.on('clientError', answerParserError)
  return server
}

/** Ends a connection that has too many requests without an answer. */
function limitPipelining(handler: RequestHandler): RequestHandler {
  const unanswered = new WeakMap<Socket, number>()
  return (request, response) => {
    const { socket } = request
    const count = (unanswered.get(socket) ?? 0) + 1
    if (count > MAX_PIPELINED) socket.destroy()
    // The rest of the requests that were read together.
    if (socket.destroyed) return
    unanswered.set(socket, count)
    response.once('close', () => unanswered.set(socket, (unanswered.get(socket) ?? 0) - 1))
    handler(request, response)
  }
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

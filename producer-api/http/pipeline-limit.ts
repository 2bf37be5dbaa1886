import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { headBytes, type MemoryBudget } from '../memory-budget.ts'

/**
 * Maximum number of POST requests of one connection that are handled at once. It bounds the responses held for a client
 * that does not read them (I7). Requests whose response may be much larger than themselves are handled one at a time:
 * compressed bodies, and all methods except POST.
 */
const MAX_AT_ONCE = 100

/**
 * Maximum number of unanswered requests of one connection, including those that wait. Node parses everything that it
 * reads at once, up to 64 KiB: fewer than 490 of the shortest events, but thousands of the shortest requests. A client
 * that sends events never reaches this limit.
 */
const MAX_UNANSWERED = 600

/** Memory of a waiting request, not counting its headers and the received part of its body. */
const WAITING_REQUEST_BYTES = 4 * 1024

export type RequestHandler = (request: IncomingMessage, response: ServerResponse) => void

const queueOf = new WeakMap<Socket, ConnectionQueue>()

/** True if no other request of the connection is open, so that its response may close the connection. */
export function isAlone({ socket }: IncomingMessage): boolean {
  return queueOf.get(socket)?.isAlone ?? true
}

/** Shared by all connections. */
interface Shared {
  handler: RequestHandler
  /** Charged for waiting requests. */
  budget: MemoryBudget
  onCut: () => void
  /** Requests passed to the handler whose responses are not completely sent. */
  handled: number
}

/**
 * Stops reading from a connection with many unanswered requests until they are answered.
 *
 * @param budget charged for the requests that wait
 * @param onCut called when a connection is closed because it has more unanswered requests than can be held
 * @returns the handler to use, and a function that reports whether any response is not completely sent
 */
export function limitPipelining(
  handler: RequestHandler,
  budget: MemoryBudget,
  onCut: () => void,
): { limited: RequestHandler; hasPendingResponses: () => boolean } {
  const shared: Shared = { handler, budget, onCut, handled: 0 }
  const limited: RequestHandler = (request, response) => {
    const { socket } = request
    let queue = queueOf.get(socket)
    if (queue === undefined) {
      queue = new ConnectionQueue(socket, shared)
      queueOf.set(socket, queue)
    }
    queue.accept(request, response)
  }
  return { limited, hasPendingResponses: () => shared.handled > 0 }
}

interface Waiting {
  request: IncomingMessage
  response: ServerResponse
  /** Charged to the budget. */
  bytes: number
}

/** The requests of one connection. A limited number is handled at once; the others wait. */
class ConnectionQueue {
  readonly #socket: Socket
  readonly #shared: Shared
  #waiting: Waiting[] = []
  #handled = 0
  #isListening = false

  constructor(socket: Socket, shared: Shared) {
    this.#socket = socket
    this.#shared = shared
  }

  get isAlone(): boolean {
    return this.#handled + this.#waiting.length <= 1
  }

  accept(request: IncomingMessage, response: ServerResponse): void {
    // Requests parsed from the same read may follow after the connection was closed.
    if (this.#socket.destroyed) return
    if (this.#waiting.length === 0 && this.#canHandle(request)) {
      this.#handle(request, response)
    } else if (this.#handled + this.#waiting.length < MAX_UNANSWERED) {
      this.#waiting.push({ request, response, bytes: 0 })
      this.#stopReading()
    } else {
      this.#cut()
    }
  }

  #canHandle({ method, headers }: IncomingMessage): boolean {
    const isHandledAlone = method !== 'POST' || headers['content-encoding'] !== undefined
    return this.#handled < (isHandledAlone ? 1 : MAX_AT_ONCE)
  }

  #handle(request: IncomingMessage, response: ServerResponse): void {
    this.#handled += 1
    this.#shared.handled += 1
    response.once('close', () => this.#onResponseClosed())
    this.#shared.handler(request, response)
  }

  #onResponseClosed(): void {
    this.#handled -= 1
    this.#shared.handled -= 1
    // After a response with `Connection: close` no further request can be answered.
    if (this.#socket.destroyed || this.#socket.writableEnded || this.#waiting.length === 0) return
    while (this.#waiting[0] !== undefined && this.#canHandle(this.#waiting[0].request)) {
      const { request, response, bytes } = this.#waiting.shift()!
      this.#shared.budget.giveBack(bytes)
      // After coalesceBody() has read from a body, Node no longer discards what the handler leaves unread.
      if (request.readableDidRead) response.once('finish', () => request.resume())
      this.#handle(request, response)
    }
    // The body of the last request may not have arrived completely.
    if (this.#waiting.length === 0) this.#socket.resume()
  }

  #stopReading(): void {
    // Node resumes reading at the end of each request, which would undo a pause: wait until everything read is parsed.
    if (this.#waiting.length === 1) process.nextTick(() => this.#pauseIfWaiting())
    if (this.#isListening) return
    this.#isListening = true
    // Node also resumes reading when a body is consumed or when responses have been flushed.
    this.#socket.on('resume', () => this.#pauseIfWaiting())
    this.#socket.once('close', () => {
      for (const { bytes } of this.#waiting) this.#shared.budget.giveBack(bytes)
      this.#waiting = []
    })
  }

  #pauseIfWaiting(): void {
    if (this.#waiting.length === 0) return
    this.#socket.pause()
    for (const waiting of this.#waiting) {
      if (!this.#charge(waiting)) {
        this.#cut()
        return
      }
    }
  }

  /** Charges the current size of the request. Returns false if the budget has no room for it. */
  #charge(waiting: Waiting): boolean {
    const { request } = waiting
    const bytes = WAITING_REQUEST_BYTES + headBytes(request) + request.readableLength
    if (bytes === waiting.bytes) return true
    coalesceBody(request)
    if (!this.#shared.budget.take(bytes - waiting.bytes)) return false
    waiting.bytes = bytes
    return true
  }

  #cut(): void {
    this.#shared.onCut()
    this.#socket.destroy()
  }
}

/** Merges the buffered chunks of a body: Node keeps about 400 bytes for each chunk, even of a single byte. */
function coalesceBody(request: IncomingMessage): void {
  if (request.readableLength === 0) return
  const body: unknown = request.read()
  request.unshift(body)
}

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { headBytes, type MemoryBudget } from '../memory-budget.ts'

/**
 * Posts of one connection that are handled at once: so many answers are kept for a client that reads none (I7). What
 * may have an answer that is long beside it is handled alone: a GET, and a body that is compressed.
 */
const MAX_AT_ONCE = 100

/**
 * Requests of one connection that have no answer yet; those that are not handled wait. Node parses all that it reads at
 * once, 64 KiB: fewer than 490 of the shortest events, but thousands of the shortest requests. So nobody who sends
 * events comes to this limit.
 */
const MAX_UNANSWERED = 600

/** What a request that waits keeps beside its headers and what has come of its body. */
const WAITING_REQUEST_BYTES = 4 * 1024

export type RequestHandler = (request: IncomingMessage, response: ServerResponse) => void

/** The connections that have had a request. */
const turnsOf = new WeakMap<Socket, Turns>()

/** Whether the connection has no request open but this one: its answer may be the connection's last. */
export function isAlone({ socket }: IncomingMessage): boolean {
  return turnsOf.get(socket)?.isAlone ?? true
}

/** Shared by all connections. */
interface Shared {
  handler: RequestHandler
  /** Charged for the requests that wait. */
  budget: MemoryBudget
  onCut: () => void
  /** Requests that were handed to the handler, and their answers not yet sent to the last byte. */
  handled: number
}

/**
 * Reads no further from a connection that has many requests without an answer, until they are answered.
 *
 * @param budget charged for the requests that wait for that
 * @param onCut told when a connection is ended, because its client keeps sending and its requests are too many to hold
 * @returns the handler to use, and whether an answer is still to come, or on its way
 */
export function limitPipelining(
  handler: RequestHandler,
  budget: MemoryBudget,
  onCut: () => void,
): { limited: RequestHandler; owesAnswers: () => boolean } {
  const shared: Shared = { handler, budget, onCut, handled: 0 }
  const limited: RequestHandler = (request, response) => {
    const { socket } = request
    let own = turnsOf.get(socket)
    if (own === undefined) {
      own = new Turns(socket, shared)
      turnsOf.set(socket, own)
    }
    own.take(request, response)
  }
  return { limited, owesAnswers: () => shared.handled > 0 }
}

interface Waiting {
  request: IncomingMessage
  response: ServerResponse
  /** What the budget was charged for it. */
  bytes: number
}

/** The requests of one connection, of which only some are handled at once. */
class Turns {
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

  take(request: IncomingMessage, response: ServerResponse): void {
    // The rest of the requests that were read together.
    if (this.#socket.destroyed) return
    if (this.#waiting.length === 0 && this.#hasTurn(request)) {
      this.#handle(request, response)
    } else if (this.#handled + this.#waiting.length < MAX_UNANSWERED) {
      this.#waiting.push({ request, response, bytes: 0 })
      this.#stopReading()
    } else {
      this.#cut()
    }
  }

  #hasTurn({ method, headers }: IncomingMessage): boolean {
    const isHandledAlone = method !== 'POST' || headers['content-encoding'] !== undefined
    return this.#handled < (isHandledAlone ? 1 : MAX_AT_ONCE)
  }

  #handle(request: IncomingMessage, response: ServerResponse): void {
    this.#handled += 1
    this.#shared.handled += 1
    response.once('close', () => this.#goOn())
    this.#shared.handler(request, response)
  }

  #goOn(): void {
    this.#handled -= 1
    this.#shared.handled -= 1
    // An answer that was the connection's last leaves no way to answer those after it.
    if (this.#socket.destroyed || this.#socket.writableEnded || this.#waiting.length === 0) return
    while (this.#waiting[0] !== undefined && this.#hasTurn(this.#waiting[0].request)) {
      const { request, response, bytes } = this.#waiting.shift()!
      this.#shared.budget.giveBack(bytes)
      // Once inOnePiece() has touched a body, Node no longer drops what its handler leaves unread.
      if (request.readableDidRead) response.once('finish', () => request.resume())
      this.#handle(request, response)
    }
    // Also the last one's own body may be still to come.
    if (this.#waiting.length === 0) this.#socket.resume()
  }

  #stopReading(): void {
    // Not before all that was read is parsed: each request's end makes Node read on, and a pause in between is lost.
    if (this.#waiting.length === 1) process.nextTick(() => this.#pauseIfWaiting())
    if (this.#isListening) return
    this.#isListening = true
    // Node reads on, too, when a body is wanted or the client has taken its answers.
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

  /** False when the budget has no room for what the request takes now. */
  #charge(waiting: Waiting): boolean {
    const { request } = waiting
    const bytes = WAITING_REQUEST_BYTES + headBytes(request) + request.readableLength
    if (bytes === waiting.bytes) return true
    inOnePiece(request)
    if (!this.#shared.budget.take(bytes - waiting.bytes)) return false
    waiting.bytes = bytes
    return true
  }

  #cut(): void {
    this.#shared.onCut()
    this.#socket.destroy()
  }
}

/** Node keeps what has come of a body as it came: 400 bytes for each chunk, even of a single byte. */
function inOnePiece(request: IncomingMessage): void {
  if (request.readableLength === 0) return
  const body: unknown = request.read()
  request.unshift(body)
}

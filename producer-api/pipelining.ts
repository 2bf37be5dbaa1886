import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** Requests of one connection that are handled at once: so many answers are kept for a client that reads none (I7). */
const MAX_AT_ONCE = 100

/**
 * Requests of one connection that wait behind those. Node parses all that it reads at once, 64 KiB: fewer than 490 of
 * the shortest events, but thousands of the shortest requests. So nobody who sends events comes to this limit.
 */
const MAX_WAITING = 500

/**
 * Requests that wait behind those of all connections together, some 4 KiB each (I7). A well-meaning client is never
 * among so many: it is held back by the socket, not here.
 */
const MAX_WAITING_IN_ALL = 20_000

export type RequestHandler = (request: IncomingMessage, response: ServerResponse) => void

/** The connections that have had a request. */
const turnsOf = new WeakMap<Socket, Turns>()

/** Whether the connection has no request open but this one: its answer may be the connection's last. */
export function isAlone({ socket }: IncomingMessage): boolean {
  return turnsOf.get(socket)?.isAlone ?? true
}

/** Requests of all connections. */
interface InAll {
  /** Handed to the handler, and their answers not yet sent to the last byte. */
  handled: number
  waiting: number
}

/**
 * Reads no further from a connection that has many requests without an answer, until they are answered.
 *
 * @param onCut told when a connection is ended, because its client keeps sending and its requests are too many to hold
 * @returns the handler to use, and whether an answer is still to come, or on its way
 */
export function limitPipelining(
  handler: RequestHandler,
  onCut: () => void,
): { limited: RequestHandler; owesAnswers: () => boolean } {
  const inAll: InAll = { handled: 0, waiting: 0 }
  const limited: RequestHandler = (request, response) => {
    const { socket } = request
    let own = turnsOf.get(socket)
    if (own === undefined) {
      own = new Turns(socket, handler, onCut, inAll)
      turnsOf.set(socket, own)
    }
    own.take(request, response)
  }
  return { limited, owesAnswers: () => inAll.handled > 0 }
}

/** The requests of one connection, of which only some are handled at once. */
class Turns {
  readonly #socket: Socket
  readonly #handler: RequestHandler
  readonly #onCut: () => void
  readonly #inAll: InAll
  #waiting: [IncomingMessage, ServerResponse][] = []
  #handled = 0
  #isListening = false

  constructor(socket: Socket, handler: RequestHandler, onCut: () => void, inAll: InAll) {
    this.#socket = socket
    this.#handler = handler
    this.#onCut = onCut
    this.#inAll = inAll
  }

  get isAlone(): boolean {
    return this.#handled + this.#waiting.length <= 1
  }

  take(request: IncomingMessage, response: ServerResponse): void {
    // The rest of the requests that were read together.
    if (this.#socket.destroyed) return
    if (this.#handled < MAX_AT_ONCE) {
      this.#handle(request, response)
    } else if (this.#waiting.length < MAX_WAITING && this.#inAll.waiting < MAX_WAITING_IN_ALL) {
      this.#wait(request, response)
    } else {
      this.#onCut()
      this.#socket.destroy()
    }
  }

  #handle(request: IncomingMessage, response: ServerResponse): void {
    this.#handled += 1
    this.#inAll.handled += 1
    response.once('close', () => this.#goOn())
    this.#handler(request, response)
  }

  #wait(request: IncomingMessage, response: ServerResponse): void {
    this.#inAll.waiting += 1
    this.#waiting.push([request, response])
    if (this.#waiting.length === 1) this.#stopReading()
  }

  #goOn(): void {
    this.#handled -= 1
    this.#inAll.handled -= 1
    // An answer that was the connection's last leaves no way to answer those behind it.
    if (this.#socket.destroyed || this.#socket.writableEnded) return
    const next = this.#waiting.shift()
    if (next === undefined) return
    this.#inAll.waiting -= 1
    this.#handle(...next)
    // Also the last one's own body may be still to come.
    if (this.#waiting.length === 0) this.#socket.resume()
  }

  #stopReading(): void {
    // Not before all that was read is parsed: each request's end makes Node read on, and a pause in between is lost.
    process.nextTick(() => this.#pauseIfWaiting())
    if (this.#isListening) return
    this.#isListening = true
    // Node reads on, too, when a body is wanted or the client has taken its answers.
    this.#socket.on('resume', () => this.#pauseIfWaiting())
    this.#socket.once('close', () => {
      this.#inAll.waiting -= this.#waiting.length
      this.#waiting = []
    })
  }

  #pauseIfWaiting(): void {
    if (this.#waiting.length > 0) this.#socket.pause()
  }
}

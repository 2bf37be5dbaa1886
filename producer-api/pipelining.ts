import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** Requests of one connection that are handled at once: so many answers are kept for a client that reads none (I7). */
const MAX_AT_ONCE = 100

/**
 * Requests of one connection that wait behind those. Node parses all that it reads at once, 64 KiB: fewer than 490 of
 * the shortest events, but thousands of the shortest requests. So nobody who sends events comes to this limit.
 */
const MAX_WAITING = 500

export type RequestHandler = (request: IncomingMessage, response: ServerResponse) => void

/**
 * Reads no further from a connection that has many requests without an answer, until they are answered.
 *
 * @param onCut told when a connection is ended, because its client keeps sending and its requests are too many to hold
 */
export function limitPipelining(handler: RequestHandler, onCut: () => void): RequestHandler {
  const turns = new WeakMap<Socket, Turns>()
  return (request, response) => {
    const { socket } = request
    let own = turns.get(socket)
    if (own === undefined) {
      own = new Turns(socket, handler, onCut)
      turns.set(socket, own)
    }
    own.take(request, response)
  }
}

/** The requests of one connection, of which only some are handled at once. */
class Turns {
  readonly #socket: Socket
  readonly #handler: RequestHandler
  readonly #onCut: () => void
  readonly #waiting: [IncomingMessage, ServerResponse][] = []
  #handled = 0
  #isListening = false

  constructor(socket: Socket, handler: RequestHandler, onCut: () => void) {
    this.#socket = socket
    this.#handler = handler
    this.#onCut = onCut
  }

  take(request: IncomingMessage, response: ServerResponse): void {
    // The rest of the requests that were read together.
    if (this.#socket.destroyed) return
    if (this.#handled < MAX_AT_ONCE) {
      this.#handle(request, response)
    } else if (this.#waiting.length < MAX_WAITING) {
      this.#waiting.push([request, response])
      if (this.#waiting.length === 1) this.#stopReading()
    } else {
      this.#onCut()
      this.#socket.destroy()
    }
  }

  #handle(request: IncomingMessage, response: ServerResponse): void {
    this.#handled += 1
    response.once('close', () => this.#goOn())
    this.#handler(request, response)
  }

  #goOn(): void {
    this.#handled -= 1
    const next = this.#waiting.shift()
    if (next === undefined || this.#socket.destroyed) return
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
  }

  #pauseIfWaiting(): void {
    if (this.#waiting.length > 0) this.#socket.pause()
  }
}

import { type Backoff, backoffMs } from '../../platform/backoff.ts'
import net from 'node:net'
import { headerOf, type HttpResponse, HttpResponseError, ResponseParser } from './http-response.ts'

/** How a request ended. */
export type Outcome =
  | { kind: 'response'; response: HttpResponse }
  /** No response. `sent: false`: no byte left this process, so the server cannot have accepted it. */
  | { kind: 'failure'; code: string; sent: boolean }

/** A request whose text is rendered only when a connection is free, so that a long queue needs little memory. */
export interface Job {
  /** The whole request, head and body. `latin1`, which is cheaper, only if all characters are ASCII. */
  render(): { text: string; encoding: 'latin1' | 'utf8' }
  /** Called once. */
  done(outcome: Outcome): void
}

interface ConnectionOptions {
  host: string
  port: number
  /** Limit for connecting and the response together. */
  timeoutMs: number
}

const RECONNECT: Backoff = { firstMs: 40, lastMs: 1_500 }
/** A connection idle for longer than the server's keep-alive timeout (5 s in Node) minus this margin is reopened. */
const KEEP_ALIVE_MARGIN_MS = 1000

/** A keep-alive connection that connects on demand and calls `release` when it is free again. */
export class Connection {
  readonly #options: ConnectionOptions
  readonly #readBuffer: Buffer
  readonly #release: () => void
  #socket: net.Socket | undefined
  #connected = false
  #parser = new ResponseParser()
  #job: Job | undefined
  #deadlineMs = 0
  #idleSinceMs = 0
  #keepAliveMs: number | undefined
  #failedConnects = 0
  #restUntilMs = 0
  #closed = false

  constructor(options: ConnectionOptions, readBuffer: Buffer, release: () => void) {
    this.#options = options
    this.#readBuffer = readBuffer
    this.#release = release
  }

  get isOpen(): boolean {
    return this.#connected
  }

  get isBusy(): boolean {
    return this.#job !== undefined
  }

  async open(): Promise<boolean> {
    const socket = this.#connect()
    return new Promise((resolve) => {
      socket.once('connect', () => resolve(true))
      socket.once('close', () => resolve(false))
    })
  }

  run(job: Job): void {
    this.#job = job
    const now = performance.now()
    this.#deadlineMs = now + this.#options.timeoutMs
    if (this.#keepAliveMs !== undefined && now - this.#idleSinceMs > this.#keepAliveMs) this.#drop()
    if (this.#connected) this.#write(job)
    else if (this.#socket === undefined) this.#connect()
  }

  sweep(now: number): void {
    if (this.#job !== undefined && this.#deadlineMs < now) {
      this.#end('timeout')
    } else if (this.#restUntilMs > 0 && this.#restUntilMs < now) {
      this.#restUntilMs = 0
      this.#release()
    }
  }

  close(): void {
    this.#closed = true
    this.#end('closed')
  }

  #connect(): net.Socket {
    const { host, port } = this.#options
    const socket = net.connect({
      host,
      port,
      noDelay: true,
      onread: {
        buffer: this.#readBuffer,
        callback: (length) => {
          if (socket === this.#socket) this.#read(this.#readBuffer.subarray(0, length))
          return true
        },
      },
    })
    this.#socket = socket
    this.#parser = new ResponseParser()
    socket.on('connect', () => {
      if (socket !== this.#socket) return
      this.#connected = true
      this.#failedConnects = 0
      this.#idleSinceMs = performance.now()
      if (this.#job !== undefined) this.#write(this.#job)
    })
    let code = 'closed_by_server'
    socket.on('error', (error: NodeJS.ErrnoException) => (code = error.code ?? error.name))
    socket.on('close', () => {
      if (socket === this.#socket) this.#end(code)
    })
    return socket
  }

  #write(job: Job): void {
    const { text, encoding } = job.render()
    this.#socket?.write(text, encoding)
  }

  #read(chunk: Buffer): void {
    let response: HttpResponse | undefined
    try {
      // After unrequested bytes (a 408 to an idle connection) it cannot be used for the next request.
      if (this.#job === undefined) throw new HttpResponseError('response without a request')
      response = this.#parser.push(chunk)
    } catch {
      this.#end('unreadable_response')
      return
    }
    if (response !== undefined) this.#finish(response)
  }

  #finish(response: HttpResponse): void {
    const job = this.#job
    this.#job = undefined
    if (response.closes) this.#drop()
    this.#idleSinceMs = performance.now()
    this.#keepAliveMs ??= keepAliveOf(response.head)
    job?.done({ kind: 'response', response })
    if (!this.#closed) this.#release()
  }

  /** The socket is closed or abandoned. */
  #end(code: string): void {
    const job = this.#job
    const sent = this.#connected
    const last = sent ? this.#lastResponse() : undefined
    this.#drop()
    if (last !== undefined && job !== undefined) return this.#finish(last)
    // An idle connection that is closed stays in the pool's idle list and reconnects when it is used.
    if (job === undefined) return
    this.#job = undefined
    job.done({ kind: 'failure', code, sent })
    if (this.#closed) return
    if (sent) this.#release()
    else this.#rest()
  }

  #lastResponse(): HttpResponse | undefined {
    try {
      return this.#parser.finish()
    } catch {
      return undefined
    }
  }

  #drop(): void {
    const socket = this.#socket
    this.#socket = undefined
    this.#connected = false
    socket?.destroy()
  }

  /** After a failed connect: stays out of the pool for a while, longer each time. */
  #rest(): void {
    this.#restUntilMs = performance.now() + backoffMs(RECONNECT, this.#failedConnects)
    this.#failedConnects += 1
  }
}

/** How long an idle connection is used, in ms: 4,000 for `Keep-Alive: timeout=5`; Infinity without that header. */
function keepAliveOf(head: string): number {
  const seconds = /timeout=(\d+)/.exec(headerOf(head, 'keep-alive') ?? '')?.[1]
  return seconds === undefined ? Infinity : Math.max(0, Number(seconds) * 1000 - KEEP_ALIVE_MARGIN_MS)
}

import { Fifo } from './fifo.ts'
import { Connection, type Job } from './http-connection.ts'

export interface HttpPoolOptions {
  host: string
  port: number
  connections: number
  /** Limit for the wait for a free connection, and again for the response. */
  timeoutMs: number
}

const SWEEP_MS = 50
const OPEN_WAVE = 100

/**
 * A fixed number of keep-alive connections with one request at a time on each, the longest idle first; further
 * requests wait in a queue. Built for load: callbacks, one read buffer, no timer per request.
 */
export class HttpPool {
  readonly #options: HttpPoolOptions
  readonly #connections: Connection[] = []
  readonly #idle = new Fifo<Connection>()
  readonly #queue = new Fifo<{ job: Job; deadlineMs: number }>()
  readonly #sweep: NodeJS.Timeout
  #closed = false

  constructor(options: HttpPoolOptions) {
    this.#options = options
    const readBuffer = Buffer.allocUnsafe(65_536)
    for (let i = 0; i < options.connections; i += 1) {
      const connection = new Connection(options, readBuffer, () => this.#release(connection))
      this.#connections.push(connection)
      this.#idle.push(connection)
    }
    this.#sweep = setInterval(() => this.#onSweep(), SWEEP_MS)
  }

  /** Requests waiting for a free connection. */
  get queued(): number {
    return this.#queue.length
  }

  /** Requests sent on a connection and not yet answered. */
  get inFlight(): number {
    return this.#connections.filter((connection) => connection.isBusy).length
  }

  /** Opens all connections, in waves that fit a listen backlog; one that fails is opened on use. @returns how many are open */
  async open(): Promise<number> {
    for (let i = 0; i < this.#connections.length; i += OPEN_WAVE) {
      const wave = this.#connections.slice(i, i + OPEN_WAVE)
      const opened = await Promise.all(wave.map((connection) => connection.open()))
      if (!opened.includes(true)) break
    }
    return this.#connections.filter((connection) => connection.isOpen).length
  }

  submit(job: Job): void {
    if (this.#closed) return job.done({ kind: 'failure', code: 'closed', sent: false })
    const connection = this.#queue.length === 0 ? this.#idle.shift() : undefined
    if (connection === undefined) {
      this.#queue.push({ job, deadlineMs: performance.now() + this.#options.timeoutMs })
    } else {
      connection.run(job)
    }
  }

  /** Closes at once: queued and running requests fail with code `closed`. */
  close(): void {
    this.#closed = true
    clearInterval(this.#sweep)
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      next.job.done({ kind: 'failure', code: 'closed', sent: false })
    }
    for (const connection of this.#connections) connection.close()
  }

  #release(connection: Connection): void {
    const next = this.#queue.shift()
    if (next === undefined) this.#idle.push(connection)
    else connection.run(next.job)
  }

  #onSweep(): void {
    const now = performance.now()
    for (const connection of this.#connections) connection.sweep(now)
    for (
      let head = this.#queue.peek();
      head !== undefined && head.deadlineMs < now;
      head = this.#queue.peek()
    ) {
      this.#queue.shift()
      head.job.done({ kind: 'failure', code: 'no_free_connection', sent: false })
    }
  }
}

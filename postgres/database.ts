import { Socket } from 'node:net'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import pg from 'pg'
import { from as copyFrom } from 'pg-copy-streams'

/** Sessions of the sink carry this name: a frozen rival is told by it. */
export const APPLICATION_NAME = 'firehose-sink'

/**
 * A chunk of COPY: large enough that the cost of a write is spread, small enough to overlap encoding with the server's
 * work.
 */
export const CHUNK_BYTES = 64 * 1024

const CONNECT_TIMEOUT_MS = 5_000
const KEEPALIVE_IDLE_MS = 10_000

/** PostgreSQL said nothing and took nothing while a statement ran; the connection is given up. */
class SilenceError extends Error {
  /** See sqlstate.ts: a smaller transaction may do. */
  readonly isTimeout = true
  constructor(silenceMs: number) {
    super(`PostgreSQL has been silent for ${silenceMs} ms`)
    this.name = 'SilenceError'
  }
}

/**
 * One connection to PostgreSQL that is opened again after it broke, and that does not wait for ever: PostgreSQL
 * frozen or gone without a word ends the connection after `silenceMs` without a byte in either direction while a
 * statement runs. All calls reject with the driver's error.
 */
export class Database {
  readonly #config: pg.ClientConfig
  /** PostgreSQL silent for so long, while a statement runs, counts as down. */
  readonly silenceMs: number
  #session: { client: pg.Client; socket: Socket } | undefined
  #running = 0
  #onIdleLoss: () => void = () => {}

  constructor(config: pg.ClientConfig, silenceMs: number, applicationName = APPLICATION_NAME) {
    this.#config = { ...config, application_name: applicationName }
    this.silenceMs = silenceMs
  }

  get connected(): boolean {
    return this.#session !== undefined
  }

  /** Tells when the connection breaks while nothing runs on it: else only the next statement would find out. */
  onIdleLoss(callback: () => void): void {
    this.#onIdleLoss = callback
  }

  /** Connects, unless the last connection still stands. */
  async open(): Promise<void> {
    if (this.#session !== undefined) return
    const socket = new Socket()
    const client = new pg.Client({
      ...this.#config,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      keepAlive: true,
      keepAliveInitialDelayMillis: KEEPALIVE_IDLE_MS,
      stream: () => socket,
    })
    const forget = (): void => {
      socket.destroy()
      if (this.#session?.client !== client) return
      this.#session = undefined
      if (this.#running === 0) this.#onIdleLoss()
    }
    client.on('error', forget) // an idle connection that breaks must not end the process
    client.on('end', forget)
    try {
      await client.connect()
    } catch (error) {
      socket.destroy()
      throw error
    }
    this.#session = { client, socket }
  }

  /** Runs one statement with parameters, or several without (then the last one's result is returned). */
  async query<R extends pg.QueryResultRow>(sql: string, values?: unknown[]): Promise<pg.QueryResult<R>> {
    return await this.#watched(async ({ client }) => await client.query<R>(sql, values))
  }

  /** Runs several statements without parameters in one round trip. */
  async queries(sql: string): Promise<pg.QueryResult[]> {
    const results: unknown = await this.#watched(async ({ client }) => await client.query(sql))
    return Array.isArray(results) ? results : [results as pg.QueryResult]
  }

  /**
   * `COPY ... FROM STDIN` of the given chunks, encoded as the socket takes them.
   *
   * @returns the number of rows that PostgreSQL says it took
   */
  async copyIn(sql: string, chunks: Iterable<Buffer>): Promise<number> {
    return await this.#watched(async ({ client }) => {
      const target = client.query(copyFrom(sql, { highWaterMark: CHUNK_BYTES }))
      await pipeline(Readable.from(chunks, { objectMode: false, highWaterMark: CHUNK_BYTES }), target)
      return target.rowCount
    })
  }

  /** Leaves a failed transaction, if the connection still stands. Never rejects. */
  async rollback(): Promise<void> {
    try {
      if (this.connected) await this.query('ROLLBACK')
    } catch {
      this.destroy()
    }
  }

  /** Drops the connection without a word; the server rolls back what was open. */
  destroy(): void {
    this.#session?.socket.destroy()
    this.#session = undefined
  }

  async close(): Promise<void> {
    const session = this.#session
    this.#session = undefined
    if (session === undefined) return
    const giveUp = setTimeout(() => session.socket.destroy(), 1_000)
    await session.client.end().catch(() => {})
    clearTimeout(giveUp)
  }

  /** A second connection for one call, when the first one is stuck. */
  async onSecondConnection<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
    const client = new pg.Client({
      ...this.#config,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      query_timeout: CONNECT_TIMEOUT_MS,
    })
    client.on('error', () => {})
    await client.connect()
    try {
      return await work(client)
    } finally {
      await client.end().catch(() => {})
    }
  }

  async #watched<T>(work: (session: { client: pg.Client; socket: Socket }) => Promise<T>): Promise<T> {
    const session = this.#session
    if (session === undefined) throw new Error('not connected to PostgreSQL')
    const { socket } = session
    let lastBytes = -1
    let lastChange = Date.now()
    let silence: SilenceError | undefined
    const watch = setInterval(() => {
      const bytes = socket.bytesRead + socket.bytesWritten
      if (bytes !== lastBytes) {
        lastBytes = bytes
        lastChange = Date.now()
      } else if (Date.now() - lastChange > this.silenceMs) {
        silence = new SilenceError(this.silenceMs)
        socket.destroy(silence)
        this.destroy()
      }
    }, this.silenceMs / 4)
    this.#running += 1
    try {
      return await work(session)
    } catch (error) {
      throw silence ?? error
    } finally {
      this.#running -= 1
      clearInterval(watch)
    }
  }
}

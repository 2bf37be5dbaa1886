import { Socket } from 'node:net'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type pg from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import { connect, CONNECT_TIMEOUT_MS } from './connect.ts'
import { checkSupported } from './supported.ts'

/** The application_name of the sink's sessions; a frozen rival is identified by it. */
export const APPLICATION_NAME = 'firehose-sink'

/**
 * The size of a COPY chunk: large enough to spread the cost of a write, small enough to overlap encoding with the
 * server's work.
 */
export const CHUNK_BYTES = 64 * 1024

const KEEPALIVE_IDLE_MS = 10_000

/** No byte passed in either direction while a statement ran, so the connection was closed. */
class SilenceError extends Error {
  /** See sqlstate.ts: a smaller transaction may succeed. */
  readonly isTimeout = true
  constructor(silenceMs: number) {
    super(`no data from or to PostgreSQL for ${silenceMs} ms`)
    this.name = 'SilenceError'
  }
}

/**
 * One connection to PostgreSQL. After it breaks, open() connects again. It does not wait forever for a frozen or
 * unreachable server: while a statement runs, `silenceMs` without a byte in either direction closes the connection. All
 * calls reject with the driver's error.
 */
export class Database {
  readonly #connectionString: string
  readonly #applicationName: string
  /** How long a running statement may pass no byte in either direction before PostgreSQL counts as down. */
  readonly silenceMs: number
  #session: { client: pg.Client; socket: Socket } | undefined
  #running = 0
  #onIdleLoss: () => void = () => {}

  constructor(
    { connectionString }: { connectionString: string },
    silenceMs: number,
    applicationName = APPLICATION_NAME,
  ) {
    this.#connectionString = connectionString
    this.#applicationName = applicationName
    this.silenceMs = silenceMs
  }

  get connected(): boolean {
    return this.#session !== undefined
  }

  /** Calls back when the connection breaks while no statement runs; otherwise only the next statement would notice. */
  onIdleLoss(callback: () => void): void {
    this.#onIdleLoss = callback
  }

  /**
   * Connects, unless a connection is already open.
   *
   * @throws {UnsupportedDatabaseError} or the driver's error
   */
  async open(): Promise<void> {
    if (this.#session !== undefined) return
    let socket = new Socket()
    const newSocket = (): Socket => {
      socket.destroy() // of the attempt before
      socket = new Socket()
      return socket
    }
    try {
      const client = await connect(this.#connectionString, () => ({
        application_name: this.#applicationName,
        keepAlive: true,
        keepAliveInitialDelayMillis: KEEPALIVE_IDLE_MS,
        stream: newSocket,
      }))
      const onLoss = (): void => {
        socket.destroy()
        if (this.#session?.client !== client) return
        this.#session = undefined
        if (this.#running === 0) this.#onIdleLoss()
      }
      client.on('error', onLoss) // otherwise an idle connection that breaks would end the process
      client.on('end', onLoss)
      await checkSupported(client)
      this.#session = { client, socket }
    } catch (error) {
      socket.destroy()
      throw error
    }
  }

  /** Runs one statement, with parameters if it has any. */
  async query<R extends pg.QueryResultRow>(sql: string, values?: unknown[]): Promise<pg.QueryResult<R>> {
    return await this.#watched(async ({ client }) => await client.query<R>(sql, values))
  }

  /** Runs several statements without parameters in one round trip. */
  async queries(sql: string): Promise<pg.QueryResult[]> {
    const results: unknown = await this.#watched(async ({ client }) => await client.query(sql))
    return Array.isArray(results) ? results : [results as pg.QueryResult]
  }

  /**
   * Runs `COPY ... FROM STDIN` with the given chunks. They are produced only as fast as the socket takes them.
   *
   * @returns the number of rows that PostgreSQL reports as copied
   */
  async copyIn(sql: string, chunks: Iterable<Buffer>): Promise<number> {
    return await this.#watched(async ({ client }) => {
      const target = client.query(copyFrom(sql, { highWaterMark: CHUNK_BYTES }))
      await pipeline(Readable.from(chunks, { objectMode: false, highWaterMark: CHUNK_BYTES }), target)
      return target.rowCount
    })
  }

  /** Rolls back, if the connection is still open. Never rejects. */
  async rollback(): Promise<void> {
    try {
      if (this.connected) await this.query('ROLLBACK')
    } catch {
      this.destroy()
    }
  }

  /** Closes the socket without a Terminate message; the server rolls back any open transaction. */
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

  /** Opens a second connection for one call, for use while the first one is blocked. */
  async onSecondConnection<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
    const client = await connect(this.#connectionString, () => ({
      application_name: this.#applicationName,
      query_timeout: CONNECT_TIMEOUT_MS,
    }))
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

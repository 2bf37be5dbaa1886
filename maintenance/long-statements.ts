import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type pg from 'pg'
import { connect, CONNECT_TIMEOUT_MS } from '../postgres/connect.ts'

const CANCEL_EVERY_MS = 1_000

/** Of what PostgreSQL says beside a result. */
interface Notice {
  severity?: string | undefined
  message?: string | undefined
}

/** The time for long statements is over. */
export class OutOfTimeError extends Error {
  override name = 'OutOfTimeError'
}

/**
 * Runs statements that may take long, and that no sink or reader waits for. When the time of the step is over, or the signal
 * aborts, a second connection cancels the one that runs. (A timeout of the server would have to be set for the session,
 * which is shared through a pooler such as PgBouncer.)
 */
export class LongStatements {
  readonly #db: pg.Client
  readonly #connectionString: string
  readonly #signal: AbortSignal
  readonly #limitMs: number
  readonly #endMs: number

  /** @param limitMs for all of them together, from now on */
  constructor(db: pg.Client, connectionString: string, signal: AbortSignal, limitMs: number) {
    this.#db = db
    this.#connectionString = connectionString
    this.#signal = signal
    this.#limitMs = limitMs
    this.#endMs = performance.now() + limitMs
  }

  /**
   * @returns PostgreSQL's warnings: VACUUM and ANALYZE skip a table without the right to it, and only warn
   * @throws {OutOfTimeError}, the signal's reason, or the driver's error
   */
  async run(sql: string): Promise<string[]> {
    this.#signal.throwIfAborted()
    const leftMs = this.#endMs - performance.now()
    if (leftMs <= 0) throw this.#outOfTime()
    const token = `/* firehose-maintain ${randomUUID()} */`
    const ended = new AbortController()
    const reasons = AbortSignal.any([this.#signal, AbortSignal.timeout(Math.ceil(leftMs))])
    let cancelled: Promise<void> | undefined
    const cancel = (): void => void (cancelled = this.#cancel(token, ended.signal))
    reasons.addEventListener('abort', cancel, { once: true })
    const warnings: string[] = []
    const onNotice = ({ severity, message = '' }: Notice): void => {
      if (severity === 'WARNING') warnings.push(message)
    }
    this.#db.on('notice', onNotice)
    try {
      await this.#db.query(`${token} ${sql}`)
      return warnings
    } catch (error) {
      if (cancelled === undefined) throw error
      this.#signal.throwIfAborted()
      throw this.#outOfTime(error)
    } finally {
      ended.abort()
      reasons.removeEventListener('abort', cancel)
      this.#db.off('notice', onNotice)
      await cancelled
    }
  }

  #outOfTime(cause?: unknown): OutOfTimeError {
    return new OutOfTimeError(
      `the limit of ${Math.ceil(this.#limitMs / 1_000)} s for a run was reached; the next run goes on`,
      { cause },
    )
  }

  /** Cancels the statement that begins with the token. Never rejects: at worst, it runs on to its end. */
  async #cancel(token: string, ended: AbortSignal): Promise<void> {
    try {
      const client = await connect(this.#connectionString, () => ({
        application_name: 'firehose-maintain-cancel',
        query_timeout: CONNECT_TIMEOUT_MS,
      }))
      try {
        // Until it has ended: it may not have begun. Not after that: the session may do something else.
        while (!ended.aborted) {
          await client.query(CANCEL, [token])
          await delay(CANCEL_EVERY_MS, undefined, { signal: ended }).catch(() => {})
        }
      } finally {
        await client.end()
      }
    } catch {}
  }
}

const CANCEL = `SELECT pg_cancel_backend(pid) FROM pg_stat_activity
  WHERE starts_with(query, $1) AND state = 'active' AND pid <> pg_backend_pid()`

import { setTimeout as delay } from 'node:timers/promises'
import type pg from 'pg'
import { sqlstateOf } from '../sink-worker/outage/sqlstate.ts'

/*
 * Transactions that sinks and readers wait for. A request for a lock that conflicts with theirs makes all that come later
 * queue behind it, even while it waits itself; so it waits briefly, and not again at once.
 */

/** The longest wait for the first lock, and for each of the others, while sinks wait for those that it has. */
const LOCK_TIMEOUT_MS = 200
const NEXT_LOCK_TIMEOUT_MS = 50
/**
 * The longest transaction, also if this process is frozen: I11 allows a second, of which the sink needs some for itself.
 * The server then ends the session.
 */
const TRANSACTION_TIMEOUT_MS = 600
/** So that a statement that takes too long fails before that. */
const STATEMENT_TIMEOUT_MS = 450
/** After an attempt that did not get its locks, sinks work undisturbed for this long. */
const AFTER_FAILURE_MS = 10_000
/** After one that did, for this many times as long as it took. */
const REST_RATIO = 9
/** How often to try: for two minutes. */
const ATTEMPTS = 12

const LIMITS = `SET LOCAL transaction_timeout = ${TRANSACTION_TIMEOUT_MS}; SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS};
  SET LOCAL statement_timeout = ${STATEMENT_TIMEOUT_MS}`

/** How an attempt begins and is undone: as a transaction, or in a savepoint of one that is open. */
const OWN = { begin: `BEGIN ISOLATION LEVEL READ COMMITTED; ${LIMITS}`, undo: 'ROLLBACK' }
const IN_OPEN = { begin: `SAVEPOINT brief; ${LIMITS}`, undo: 'ROLLBACK TO SAVEPOINT brief' }

/** A lock on one table, not on its partitions. */
export interface TableLock {
  /** As SQL. */
  table: string
  mode: 'ACCESS SHARE' | 'ROW EXCLUSIVE' | 'SHARE UPDATE EXCLUSIVE' | 'ACCESS EXCLUSIVE'
}

/** What became of an attempt: the locks may be held by others. */
export type Attempt<T> = { locked: true; value: T } | { locked: false }

/** Until when sinks work undisturbed, on the clock of performance.now(); shared by the steps of a run. */
export interface Rest {
  untilMs: number
}

/** Runs transactions that hold up others, one after another, with pauses between them. */
export class BriefTransactions {
  readonly #db: Pick<pg.ClientBase, 'query'>
  readonly #signal: AbortSignal
  readonly #rest: Rest
  readonly #attempts: number

  /** @param attempts how often to try to get the locks; 10 s lie between two */
  constructor(
    db: Pick<pg.ClientBase, 'query'>,
    signal: AbortSignal,
    { rest = { untilMs: 0 }, attempts = ATTEMPTS }: { rest?: Rest; attempts?: number } = {},
  ) {
    this.#db = db
    this.#signal = signal
    this.#rest = rest
    this.#attempts = attempts
  }

  /**
   * Takes the locks in the order given, which must be: root, era, `events_stray`, leaf (a sink takes them in this order,
   * too). Then does the work and commits.
   *
   * @throws the driver's error, also 57014 if a statement, or 25P04 if the transaction took too long; all is rolled back then
   * @throws the signal's reason if it aborts before an attempt
   */
  async run<T>(
    locks: readonly TableLock[],
    work: () => Promise<T>,
    attempts = this.#attempts,
  ): Promise<Attempt<T>> {
    return await this.#repeat(OWN, locks, work, attempts)
  }

  /**
   * The same as the end of a transaction that is open, and that has done what takes long without holding up anyone. If the
   * locks are not got, it is still open, as it was.
   */
  async finish<T>(locks: readonly TableLock[], work: () => Promise<T>): Promise<Attempt<T>> {
    return await this.#repeat(IN_OPEN, locks, work, this.#attempts)
  }

  /** One attempt, also after the signal has aborted: drops what would disturb sinks. */
  async cleanUp<T>(locks: readonly TableLock[], work: () => Promise<T>): Promise<Attempt<T>> {
    await this.#pause()
    return await this.#attempt(OWN, locks, work)
  }

  async #pause(signal?: AbortSignal): Promise<void> {
    await delay(Math.max(0, this.#rest.untilMs - performance.now()), undefined, signal && { signal })
  }

  async #repeat<T>(
    how: typeof OWN,
    locks: readonly TableLock[],
    work: () => Promise<T>,
    attempts: number,
  ): Promise<Attempt<T>> {
    for (let attempt = 1; ; attempt++) {
      await this.#pause(this.#signal)
      const result = await this.#attempt(how, locks, work)
      if (result.locked || attempt === attempts) return result
    }
  }

  async #attempt<T>(
    { begin, undo }: typeof OWN,
    locks: readonly TableLock[],
    work: () => Promise<T>,
  ): Promise<Attempt<T>> {
    const beganMs = performance.now()
    let locked = false
    try {
      await this.#db.query(begin)
      const statements = locks.map(({ table, mode }) => `LOCK TABLE ONLY ${table} IN ${mode} MODE`)
      statements.push('') // the work may need locks on other tables, too
      await this.#db.query(statements.join(`; SET LOCAL lock_timeout = ${NEXT_LOCK_TIMEOUT_MS}; `))
      locked = true
      const value = await work()
      await this.#db.query('COMMIT')
      return { locked, value }
    } catch (error) {
      await this.#db.query(undo).catch(() => {}) // a lost connection has rolled back
      if (isLockRefused(error)) {
        locked = false
        return { locked }
      }
      throw error
    } finally {
      const now = performance.now()
      this.#rest.untilMs = now + (locked ? (now - beganMs) * REST_RATIO : AFTER_FAILURE_MS)
    }
  }
}

/** Whether another session holds a lock that is needed: lock_timeout, or a deadlock with it. */
function isLockRefused(error: unknown): boolean {
  const code = sqlstateOf(error)
  return code === '55P03' || code === '40P01'
}

import type pg from 'pg'

/**
 * Shorter than PostgreSQL's deadlock_timeout of a second, after which a wait would cancel the autovacuum of the table: on a
 * large one it might never finish.
 */
const LOCK_TIMEOUT_MS = 500

/** Only the transaction's settings, because of poolers. Row-level security that would hide rows (FORCE) makes it fail. */
const BEGIN = `BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL statement_timeout = 0; SET LOCAL transaction_timeout = 0;
  SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}; SET LOCAL row_security = off`

/** Before a statement that is to use an index even if statistics are missing. */
export const BY_INDEX = 'SET LOCAL enable_seqscan = off'

/**
 * Runs statements in a transaction of their own, all in one message, so that nobody waits for its locks while this process
 * is frozen.
 *
 * @param statements without parameters
 * @returns the result of the last one
 * @throws the driver's error; 55P03 if another session has a lock that it needs
 */
export async function runAtOnce<R extends pg.QueryResultRow>(
  db: Pick<pg.ClientBase, 'query'>,
  ...statements: readonly string[]
): Promise<pg.QueryResult<R>> {
  return await orRollBack(db, async () => {
    const results: unknown = await db.query([BEGIN, ...statements, 'COMMIT'].join('; '))
    return (results as pg.QueryResult<R>[]).at(-2)!
  })
}

/** The same, one after another. Others may wait for its locks: only for rows that nobody else needs. */
export async function inTransaction<T>(db: Pick<pg.ClientBase, 'query'>, work: () => Promise<T>): Promise<T> {
  return await orRollBack(db, async () => {
    await db.query(BEGIN)
    const value = await work()
    await db.query('COMMIT')
    return value
  })
}

async function orRollBack<T>(db: Pick<pg.ClientBase, 'query'>, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    await db.query('ROLLBACK').catch(() => {}) // a lost connection has rolled back
    throw error
  }
}

import type pg from 'pg'
import { connect } from '../postgres/connect.ts'

/** An arbitrary fixed number: all maintainers must use the same. */
const ADVISORY_LOCK_KEY = 7_311_051_972

/** The right to maintain this database: only one process has it at a time. */
export interface Turn {
  /** @throws if it was lost with its connection */
  check(): Promise<void>
  release(): Promise<void>
}

/**
 * Takes the turn: an advisory lock of a transaction that stays open on a connection of its own. (Through a pooler such as
 * PgBouncer, a session's lock would stay with a server connection that others use next.) The transaction holds no snapshot,
 * so neither VACUUM nor CREATE INDEX CONCURRENTLY waits for it. If this machine is gone, the server notices in half a minute;
 * by default it would in two hours.
 *
 * @returns undefined if another process has it
 * @throws the driver's error
 */
export async function takeTurn(connectionString: string): Promise<Turn | undefined> {
  const client = await connect(connectionString, () => ({
    application_name: 'firehose-maintain-turn',
    keepAlive: true,
  }))
  try {
    await client.query(
      `BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL idle_in_transaction_session_timeout = 0;
       SET LOCAL transaction_timeout = 0; SET LOCAL statement_timeout = 0; SET LOCAL tcp_keepalives_idle = 10;
       SET LOCAL tcp_keepalives_interval = 5; SET LOCAL tcp_keepalives_count = 3`,
    )
    // Without parameters: the portal of a query with some keeps its snapshot until the next statement.
    const { rows } = await client.query<{ taken: boolean }>(
      `SELECT pg_try_advisory_xact_lock(${ADVISORY_LOCK_KEY}) AS taken`,
    )
    if (rows[0]?.taken === true) return turnOf(client)
  } catch (error) {
    await client.end().catch(() => {})
    throw error
  }
  await client.end()
  return undefined
}

function turnOf(client: pg.Client): Turn {
  return {
    check: async () => {
      try {
        await client.query('SELECT')
      } catch (error) {
        throw new Error(
          'the connection that keeps other maintainers away was lost, so this one ends: run "npx firehose maintain" again',
          { cause: error },
        )
      }
    },
    release: async () => {
      await client.end().catch(() => {}) // the server rolls back
    },
  }
}

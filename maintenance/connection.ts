import type pg from 'pg'
import { connect } from '../postgres/connect.ts'

const KEEPALIVE_IDLE_MS = 10_000

/**
 * Does work on a connection of its own.
 *
 * @throws what the work throws; why the server ended the connection, if it has said so
 */
export async function withConnection<T>(
  connectionString: string,
  work: (db: pg.Client) => Promise<T>,
): Promise<T> {
  const db = await connect(connectionString, () => ({
    application_name: 'firehose-maintain',
    keepAlive: true, // a server that is gone would be waited for, in a statement that takes long anyway
    keepAliveInitialDelayMillis: KEEPALIVE_IDLE_MS,
  }))
  let lost: Error | undefined
  db.on('error', (error) => (lost ??= error))
  try {
    return await work(db)
  } catch (error) {
    throw lost ?? error // the server may have said why between two statements; the next one only fails
  } finally {
    await db.end().catch(() => {})
  }
}

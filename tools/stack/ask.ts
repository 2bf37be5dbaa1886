import type pg from 'pg'
import { connect } from '../../postgres/connect.ts'

/**
 * Runs one query on a separate connection.
 *
 * @throws the driver's error, at the latest after `limitMs` for the connection and again for the query
 */
export async function ask<R extends pg.QueryResultRow>(
  url: string,
  sql: string,
  { values = [], limitMs = 5_000 }: { values?: unknown[]; limitMs?: number } = {},
): Promise<R[]> {
  const client = await connect(url, () => ({ connectionTimeoutMillis: limitMs, query_timeout: limitMs }))
  try {
    return (await client.query<R>(sql, values)).rows
  } finally {
    void client.end().catch(() => {})
  }
}

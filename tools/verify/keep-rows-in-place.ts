import type { Client } from 'pg'
import { firstIdAt } from '../../postgres/partitions/ranges.ts'
import { KEEP_ROWS_IN_PLACE } from './verify-sql.ts'

const YEAR_MS = 365 * 86_400_000

/** Partitions are made a few days ahead, so an id of a time to come has none. */
export async function keepRowsInPlace(client: Client): Promise<void> {
  await client.query(KEEP_ROWS_IN_PLACE, [firstIdAt(Date.now() + YEAR_MS)])
}

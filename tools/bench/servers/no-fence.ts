// Replaces sink-worker/store/fence.ts: a plain transaction.
import type { Database } from '../../../postgres/database.ts'

export async function openFencedTransaction(db: Database): Promise<void> {
  await db.query('BEGIN')
}

export async function commit(db: Database): Promise<void> {
  await db.query('COMMIT')
}

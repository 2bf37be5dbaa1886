import type { Maintenance } from './maintenance.ts'
import { findWindows, isInWindow, total, type Window } from './retain-windows.ts'
import { inTransaction } from './transaction.ts'

/**
 * Deletes the dead letters that were replayed or discarded before a moment, by the latest entry of their history. The
 * history stays: it says what became of them. Open letters stay, whatever their age.
 *
 * @returns how many; with dryRun, how many would be
 * @throws the driver's error, after which other letters are deleted already
 */
export async function deleteOldLetters({ db, dryRun, signal }: Maintenance, before: Date): Promise<number> {
  const isOld = isSettledBefore(before)
  const windows = await findWindows(db, 'dead_letters', isOld)
  if (dryRun) return total(windows)
  let deleted = 0
  for (const window of windows) {
    signal.throwIfAborted()
    deleted += await deleteWindow(db, window, isOld)
  }
  return deleted
}

/**
 * First the letters are locked, which `dlq` does before it writes their history; then they are judged again, by a
 * statement that sees what it has written meanwhile.
 */
async function deleteWindow(db: Maintenance['db'], window: Window, isOld: string): Promise<number> {
  return await inTransaction(db, async () => {
    const { rows } = await db.query<{ place: string }>(
      `SELECT ctid::text AS place FROM dead_letters WHERE ${isInWindow(window)} AND ${isOld} FOR UPDATE SKIP LOCKED`,
    )
    const { rowCount } = await db.query(`DELETE FROM dead_letters WHERE ctid = ANY($1::tid[]) AND ${isOld}`, [
      rows.map(({ place }) => place),
    ])
    return rowCount ?? 0
  })
}

/** A condition on dead_letters, as SQL. A letter without history was settled by hand, nobody knows when, so it stays. */
function isSettledBefore(moment: Date): string {
  return `state IN ('replayed', 'discarded') AND (SELECT max(at) FROM dead_letter_history AS h
    WHERE (h.cluster_id, h.topic, h.partition, h."offset")
      = (dead_letters.cluster_id, dead_letters.topic, dead_letters.partition, dead_letters."offset")) < '${moment.toISOString()}'`
}

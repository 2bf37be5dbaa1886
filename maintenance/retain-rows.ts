import type { TreeTable } from '../postgres/partitions/tree.ts'
import type { Maintenance } from './maintenance.ts'
import { findReceivedIndex, forget, summarize } from './retain-index.ts'
import { findWindows, isInWindow, total } from './retain-windows.ts'
import { BY_INDEX, runAtOnce } from './transaction.ts'

/**
 * Deletes the rows of one table (not of its partitions) that were received before a moment, window by window. Only pages
 * that the BRIN names are read. As with any DELETE, the user's triggers and foreign keys see the rows go.
 *
 * @returns how many; with dryRun, how many would be
 * @throws {RefusedError} if the BRIN is missing; the driver's error, after which other windows are deleted already
 */
export async function deleteOldRows(
  { db, dryRun, signal }: Maintenance,
  table: TreeTable,
  before: Date,
): Promise<number> {
  const index = await findReceivedIndex(db, table)
  if (!dryRun) await summarize(db, index)
  const isOld = `received_at < '${before.toISOString()}'`
  const windows = await findWindows(db, table.name, isOld, BY_INDEX)
  if (dryRun) return total(windows)
  let deleted = 0
  for (const window of windows) {
    signal.throwIfAborted()
    await forget(db, index, window) // first, so that a kill in between costs a second look, and not one in each run
    const { rowCount } = await runAtOnce(
      db,
      `DELETE FROM ONLY ${table.name} WHERE ${isInWindow(window)} AND ${isOld}`,
    )
    deleted += rowCount ?? 0
  }
  return deleted
}

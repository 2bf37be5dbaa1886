import type { TreeTable } from '../postgres/partitions/tree.ts'
import { type Action, type Maintenance, problem } from './maintenance.ts'

/*
 * The CHECKs by which events are kept out of a table for a while. One stays if a run is interrupted, or does not get the
 * lock to drop it; then sinks that meet such an event pause until it is dropped.
 */

/** @returns whether the table has no such CHECK any more; with dryRun always */
export async function dropCheck(
  { db, brief, dryRun }: Pick<Maintenance, 'db' | 'brief' | 'dryRun'>,
  table: TreeTable,
  name: string,
): Promise<boolean> {
  if (dryRun || !(await hasCheck({ db }, table, name))) return true
  const locks = [{ table: table.name, mode: 'ACCESS EXCLUSIVE' as const }]
  return (await brief.cleanUp(locks, async () => await db.query(dropOf(table, name)))).locked
}

export async function hasCheck(
  { db }: Pick<Maintenance, 'db'>,
  { oid }: TreeTable,
  name: string,
): Promise<boolean> {
  const found = 'SELECT FROM pg_constraint WHERE conrelid = $1::int8::oid AND conname = $2'
  return (await db.query(found, [oid, name])).rowCount !== 0
}

/** It could not be dropped. */
export function leftCheck(table: TreeTable, name: string): Action {
  return problem(
    'ahead',
    `A CHECK that Firehose needed for a moment was not dropped, because other sessions use ${table.name} all the time: sinks may pause because of it. When those sessions have ended, run "npx firehose maintain" again, or ${dropOf(table, name)};`,
  )
}

function dropOf(table: TreeTable, name: string): string {
  return `ALTER TABLE ${table.name} DROP CONSTRAINT IF EXISTS ${name}`
}

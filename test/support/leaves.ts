import type pg from 'pg'
import { migrate } from '../../postgres/migrate.ts'
import { partitionNewTable } from '../../postgres/partitions/create-tree.ts'
import { attachLeaf, createLeaf, leafTable, readLeafModel } from '../../postgres/partitions/leaf.ts'
import { rangeAt, UNIT_MS } from '../../postgres/partitions/ranges.ts'

/** Creates the tables in an empty database, with a leaf for each of the last `days` days and for those ahead. */
export async function migrateWithLeaves(db: pg.Client, url: string, days: number): Promise<void> {
  await migrate(url, { partitioning: 'none' })
  const firstMs = Date.now() - days * UNIT_MS.day
  await db.query('BEGIN')
  await partitionNewTable(db, 'day', 'immediate', firstMs)
  const model = await readLeafModel(db, 'events_stray')
  const { rows } = await db.query<{ name: string }>(
    `SELECT relid::regclass::text AS name FROM pg_partition_tree('events')`,
  )
  const made = new Set(rows.map(({ name }) => `${model.schema}.${name}`))
  for (let ms = firstMs; ms < Date.now() + 14 * UNIT_MS.day; ms += UNIT_MS.day) {
    const range = rangeAt('day', ms)
    if (made.has(leafTable(range, model))) continue
    for (const statement of createLeaf(range, model, 'immediate')) await db.query(statement)
    await db.query(attachLeaf(range, model))
  }
  await db.query('COMMIT')
}

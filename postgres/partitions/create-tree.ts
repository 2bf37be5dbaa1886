import type pg from 'pg'
import { createIndex, TIME_INDEXES, USER_INDEXES } from './indexes.ts'
import { attachLeaf, bounds, createLeaf, isIn, readLeafModel } from './leaf.ts'
import { eraFrom, type PartitionUnit, rangeAt, rangesAhead, UNIT_MS } from './ranges.ts'
import type { UserIndexTime } from './settings.ts'
import { ERA, OTHER, STRAY } from './tree.ts'

/** Keeps the ids of the era out of `events_other`, so that no ATTACH has to read that table. */
export const NOT_ERA = 'firehose_not_era'

/**
 * Makes the new, empty table `events` a tree, in the transaction of the caller. It begins a day earlier, for the events
 * that clients send late.
 */
export async function partitionNewTable(
  client: Pick<pg.ClientBase, 'query'>,
  unit: PartitionUnit,
  userIndex: UserIndexTime,
  nowMs: number,
): Promise<void> {
  const era = eraFrom(nowMs - UNIT_MS.day)
  const ranges = [rangeAt(unit, nowMs - UNIT_MS[unit]), ...rangesAhead(unit, nowMs)]
  const root = [
    'CREATE TABLE firehose_new_events (LIKE events INCLUDING ALL EXCLUDING INDEXES) PARTITION BY RANGE (event_id)',
    'DROP TABLE events',
    'ALTER TABLE firehose_new_events RENAME TO events',
    'ALTER TABLE events ADD CONSTRAINT events_pkey PRIMARY KEY (event_id)',
    ...TIME_INDEXES.map((index) => createIndex(index, 'events')),
    `CREATE TABLE ${ERA} PARTITION OF events FOR VALUES ${bounds(era)} PARTITION BY RANGE (event_id)`,
    `CREATE TABLE ${STRAY} PARTITION OF ${ERA} DEFAULT`,
    `CREATE TABLE ${OTHER} PARTITION OF events (CONSTRAINT ${NOT_ERA} CHECK (NOT (${isIn(era)}))) DEFAULT`,
    ...[STRAY, OTHER].flatMap((table) => USER_INDEXES.map((index) => createIndex(index, table))),
  ]
  for (const statement of root) await client.query(statement)
  const model = await readLeafModel(client, STRAY)
  for (const range of ranges) {
    for (const statement of createLeaf(range, model, userIndex)) await client.query(statement)
    await client.query(attachLeaf(range, model))
  }
}

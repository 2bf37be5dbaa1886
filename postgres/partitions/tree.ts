import type pg from 'pg'
import { momentOfId, type Range } from './ranges.ts'

/*
 * `events` as a tree of partitions:
 *
 *     events               RANGE of event_id
 *     ├── events_era       20 years of ids by time, RANGE of event_id
 *     │   ├── events_20270131, ...   the leaves: one for each day or hour
 *     │   └── events_stray           DEFAULT: ids of the era without a leaf
 *     └── events_other     DEFAULT: ids of no time in the era, such as random ones
 *
 * A leaf is a partition with a range of its own; "partition" alone is Kafka's.
 */

export const ROOT = 'events'
export const ERA = 'events_era'
export const OTHER = 'events_other'
export const STRAY = 'events_stray'

/** A table in the tree. */
export interface TreeTable {
  oid: number
  /** As SQL, with the schema if it is needed. */
  name: string
}

export interface Leaf extends TreeTable, Range {}

/** `events` as it is: one table, or the tree. */
export type EventsLayout = { kind: 'table'; root: TreeTable } | ({ kind: 'tree' } & Tree)

export interface Tree {
  root: TreeTable
  era: TreeTable & Range
  /** In order of time. */
  leaves: readonly Leaf[]
  stray: TreeTable
  other: TreeTable
}

interface Row {
  is_root: boolean
  oid: number
  name: string
  kind: string
  parent: number | null
  is_default: boolean
  from_id: string | null
  to_id: string | null
}

const READ_LAYOUT = `
  SELECT c.oid = to_regclass('events') AS is_root, c.oid::int8::float8 AS oid, c.oid::regclass::text AS name, c.relkind AS kind, i.inhparent::int8::float8 AS parent,
    coalesce(bound = 'DEFAULT', false) AS is_default,
    substring(bound from '^FOR VALUES FROM [(]''([-0-9a-f]{36})''[)]') AS from_id,
    substring(bound from ' TO [(]''([-0-9a-f]{36})''[)]$') AS to_id
  FROM (SELECT to_regclass('events') AS relid UNION SELECT relid FROM pg_partition_tree(to_regclass('events'))) AS tree
  JOIN pg_class AS c ON c.oid = tree.relid
  LEFT JOIN pg_inherits AS i ON i.inhrelid = c.oid
  CROSS JOIN LATERAL (SELECT pg_get_expr(c.relpartbound, c.oid) AS bound) AS b
  WHERE c.oid = to_regclass('events') OR c.relispartition
  ORDER BY from_id, c.oid`

/** The layout of `events`. @throws if the tree is not Firehose's, with a sentence; the driver's error */
export async function readLayout(db: Pick<pg.ClientBase, 'query'>): Promise<EventsLayout> {
  const { rows } = await db.query<Row>(READ_LAYOUT)
  return layoutOf(rows)
}

/** Pure. */
function layoutOf(rows: readonly Row[]): EventsLayout {
  const root = rows.find(({ is_root }) => is_root)
  if (root === undefined) throw new Error('the table "events" does not exist: run "npx firehose migrate"')
  if (root.kind !== 'p') return { kind: 'table', root: tableOf(root) }
  const children = childrenOf(rows, root.oid)
  const [era, ...others] = children.filter(({ kind, is_default }) => kind === 'p' && !is_default)
  const other = children.find(({ is_default }) => is_default)
  const ofEra = era === undefined ? [] : childrenOf(rows, era.oid)
  const stray = ofEra.find(({ is_default }) => is_default)
  if (era === undefined || others.length > 0 || other === undefined || stray === undefined)
    throw new Error(
      `"events" is partitioned, but not by Firehose (it lacks ${ERA}, ${STRAY} or ${OTHER}), so its partitions are not maintained: maintain them yourself`,
    )
  return {
    kind: 'tree',
    root: tableOf(root),
    era: leafOf(era),
    leaves: ofEra
      .filter(({ is_default }) => !is_default)
      .map(leafOf)
      .toSorted((a, b) => a.fromMs - b.fromMs),
    stray: tableOf(stray),
    other: tableOf(other),
  }
}

function childrenOf(rows: readonly Row[], parent: number): Row[] {
  return rows.filter((row) => row.parent === parent)
}

function tableOf({ oid, name }: Row): TreeTable {
  return { oid, name }
}

function leafOf(row: Row): Leaf {
  if (row.from_id === null || row.to_id === null)
    throw new Error(
      `the partition ${row.name} has a range that Firehose did not make: detach it (ALTER TABLE ... DETACH PARTITION)`,
    )
  return { ...tableOf(row), fromMs: momentOfId(row.from_id), toMs: momentOfId(row.to_id) }
}

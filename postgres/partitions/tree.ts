import type { Database } from '../database.ts'
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

/**
 * The oids of `events` and all tables below it, as `tree(oid)` for WITH RECURSIVE. From the catalog alone:
 * pg_partition_tree() locks each table, so it waits when someone has locked one, and others wait for it.
 */
export const TREE = `tree(oid) AS (SELECT to_regclass('events')::oid
  UNION ALL SELECT inhrelid FROM pg_inherits JOIN tree ON inhparent = tree.oid)`

const READ_LAYOUT = `
  WITH RECURSIVE ${TREE}
  SELECT c.oid = to_regclass('events') AS is_root, c.oid::int8::float8 AS oid, c.oid::regclass::text AS name, c.relkind AS kind, i.inhparent::int8::float8 AS parent,
    coalesce(bound = 'DEFAULT', false) AS is_default,
    substring(bound from '^FOR VALUES FROM [(]''([-0-9a-f]{36})''[)]') AS from_id,
    substring(bound from ' TO [(]''([-0-9a-f]{36})''[)]$') AS to_id
  FROM tree JOIN pg_class AS c ON c.oid = tree.oid
  LEFT JOIN pg_inherits AS i ON i.inhrelid = c.oid
  CROSS JOIN LATERAL (SELECT pg_get_expr(c.relpartbound, 0) AS bound) AS b
  WHERE c.oid = to_regclass('events') OR c.relispartition
  ORDER BY from_id, c.oid`

/** Why `events` cannot be maintained, and what to do. */
export class LayoutError extends Error {
  /** Without a full stop. */
  readonly text: string
  readonly remedy: string
  /** Whether it is a tree of Firehose. */
  readonly isOurs: boolean

  constructor(text: string, remedy: string, isOurs: boolean) {
    super(`${text}: ${remedy}`)
    this.text = text
    this.remedy = remedy
    this.isOurs = isOurs
  }
}

/** The layout of `events`. @throws {LayoutError} @throws the driver's error */
export async function readLayout(db: Pick<Database, 'query'>): Promise<EventsLayout> {
  const { rows } = await db.query<Row>(READ_LAYOUT)
  return layoutOf(rows)
}

/** Pure. */
function layoutOf(rows: readonly Row[]): EventsLayout {
  const root = rows.find(({ is_root }) => is_root)
  if (root === undefined)
    throw new LayoutError('the table "events" does not exist', 'run "npx firehose migrate"', false)
  if (root.kind !== 'p') return { kind: 'table', root: tableOf(root) }
  const children = childrenOf(rows, root.oid)
  const [era, ...others] = children.filter(({ kind, is_default }) => kind === 'p' && !is_default)
  const other = children.find(({ is_default }) => is_default)
  const ofEra = era === undefined ? [] : childrenOf(rows, era.oid)
  const stray = ofEra.find(({ is_default }) => is_default)
  if (era === undefined || others.length > 0 || other === undefined || stray === undefined)
    throw new LayoutError(
      `"events" is partitioned, but not by Firehose (it lacks ${ERA}, ${STRAY} or ${OTHER}), so its partitions are not maintained`,
      'maintain them yourself',
      false,
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
    throw new LayoutError(
      `the partition ${row.name} has a range that Firehose did not make`,
      `detach it (ALTER TABLE ${ERA} DETACH PARTITION ${row.name};)`,
      true,
    )
  return { ...tableOf(row), fromMs: momentOfId(row.from_id), toMs: momentOfId(row.to_id) }
}

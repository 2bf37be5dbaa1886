import { isIn } from '../postgres/partitions/leaf.ts'
import { firstIdAt, type Range, UNIT_MS } from '../postgres/partitions/ranges.ts'
import {
  type EventsLayout,
  type Leaf,
  LayoutError,
  readLayout,
  type Tree,
  TREE,
} from '../postgres/partitions/tree.ts'
import type { Reader } from '../sink-worker/positions/offsets.ts'
import { attempt } from './attempt.ts'
import type { Result } from './finding.ts'

/* `events` as one table or as a tree: how large its tables are, and where the newest rows went. */

/** A table with rows. */
export interface StoreFacts {
  /** About, as PostgreSQL's planner estimates it. */
  rows: number
  pages: number
  bytes: number
  /** By hand at some time, or, whoever did it, nearly all of it. (PostgreSQL forgets the first in a crash.) */
  isVacuumed: boolean
}

/** Where the ids of the newest rows belong. */
export type Place = 'leaf' | 'stray' | 'other'

export interface NewestRows {
  place: Place
  /** Of their ids; null if it is no UUID of RFC 9562. */
  version: number | null
  count: number
}

/** A tree that Firehose does not maintain. */
export interface UnknownTree {
  kind: 'unknown'
  problem: LayoutError
}

export interface LayoutFacts {
  /** PostgreSQL's time; milliseconds since 1970. */
  nowMs: number
  layout: EventsLayout | UnknownTree
  /** The tables with rows, by their oids. */
  stores: ReadonlyMap<number, StoreFacts>
  /** Undefined unless it is a tree. */
  newest: Result<NewestRows[]> | undefined
}

const READ_NOW = `SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::float8 AS ms WHERE to_regclass('events') IS NOT NULL`

const READ_STORES = `
  WITH RECURSIVE ${TREE}
  SELECT c.oid::int8::float8 AS oid, bytes, pages,
    CASE WHEN reltuples > 0 AND relpages > 0 THEN reltuples::float8 / relpages * pages
      ELSE pg_stat_get_live_tuples(c.oid)::float8 END AS rows,
    pg_stat_get_last_vacuum_time(c.oid) IS NOT NULL OR relallvisible >= 0.9 * pages AS "isVacuumed"
  FROM tree JOIN pg_class AS c ON c.oid = tree.oid AND relkind = 'r'
  CROSS JOIN LATERAL (
    SELECT bytes, bytes / current_setting('block_size')::float8 AS pages
    FROM (SELECT coalesce(pg_relation_size(c.oid), 0)::float8 AS bytes) AS b
  ) AS size`

/** So many pages at the end of a table are read: 1 MB. */
const NEWEST_PAGES = 128

/** @returns undefined if the table is missing @throws the driver's error */
export async function readLayoutFacts(db: Reader): Promise<LayoutFacts | undefined> {
  const [now] = (await db.query<{ ms: number }>(READ_NOW)).rows
  if (now === undefined) return undefined
  const layout = await layoutOrProblem(db)
  const { rows } = await db.query<StoreFacts & { oid: number }>(READ_STORES)
  const stores = new Map(rows.map(({ oid, ...store }) => [oid, store]))
  const newest =
    layout.kind === 'tree'
      ? await attempt(async () => await readNewest(db, layout, stores, now.ms))
      : undefined
  return { nowMs: now.ms, layout, stores, newest }
}

async function layoutOrProblem(db: Reader): Promise<LayoutFacts['layout']> {
  try {
    return await readLayout(db)
  } catch (error) {
    if (error instanceof LayoutError) return { kind: 'unknown', problem: error }
    throw error
  }
}

/** The leaf that the moment is in. Pure. */
export function leafAt(leaves: readonly Leaf[], ms: number): Leaf | undefined {
  return leaves.find(({ fromMs, toMs }) => fromMs <= ms && ms < toMs)
}

/** Whether a range is over for so long that maintenance, which works every hour, should have closed or dropped its leaf. */
export function isLongOver({ toMs }: Range, nowMs: number): boolean {
  return toMs < nowMs - UNIT_MS.day
}

/**
 * Counts the rows at the ends of the newest leaves, `events_stray` and `events_other`, over a time that is covered by all
 * of these ends. Rows that took the place of deleted ones are not seen. It reads them through the root, on which alone a
 * sink's role has rights, with bounds that leave one table in the plan.
 */
async function readNewest(
  db: Reader,
  tree: Tree,
  stores: LayoutFacts['stores'],
  nowMs: number,
): Promise<NewestRows[]> {
  const begun = tree.leaves.filter(({ fromMs }) => fromMs <= nowMs).slice(-2)
  const gaps = gapsOf(tree)
  const { era, stray, other } = tree
  const ends: { place: Place; oid: number; where: string }[] = [
    ...begun.map((leaf) => ({ place: 'leaf' as const, oid: leaf.oid, where: isIn(leaf) })),
    ...(gaps.length === 0
      ? []
      : [{ place: 'stray' as const, oid: stray.oid, where: gaps.map(isIn).join(' OR ') }]),
    {
      place: 'other',
      oid: other.oid,
      where: `event_id < '${firstIdAt(era.fromMs)}' OR event_id >= '${firstIdAt(era.toMs)}'`,
    },
  ]
  const samples = ends.map(({ place, oid, where }, index) => {
    const first = Math.max(0, (stores.get(oid)?.pages ?? 0) - NEWEST_PAGES)
    return `SELECT '${place}' AS place, ${index} AS part, ${first > 0} AS goes_back, uuid_extract_version(event_id)::int AS version, received_at
      FROM events WHERE (${where}) AND ctid >= '(${first},0)'`
  })
  const sinceMs = Math.max(begun[0]?.fromMs ?? nowMs - UNIT_MS.day, era.fromMs)
  const statement = `
    WITH newest AS MATERIALIZED (${samples.join(' UNION ALL ')}),
    since AS (SELECT greatest(to_timestamp($1 / 1000.0), max(oldest)) AS at
      FROM (SELECT min(received_at) AS oldest FROM newest WHERE goes_back GROUP BY part) AS ends)
    SELECT place, version, count(*)::int AS count FROM newest CROSS JOIN since WHERE received_at >= at GROUP BY 1, 2`
  return (await db.query<NewestRows>(statement, [sinceMs])).rows
}

/** The ranges of the era without a leaf, whose rows are in `events_stray`. Pure. */
function gapsOf({ era, leaves }: Tree): Range[] {
  const gaps: Range[] = []
  let fromMs = era.fromMs
  for (const leaf of leaves) {
    if (leaf.fromMs > fromMs) gaps.push({ fromMs, toMs: leaf.fromMs })
    fromMs = leaf.toMs
  }
  if (fromMs < era.toMs) gaps.push({ fromMs, toMs: era.toMs })
  return gaps
}

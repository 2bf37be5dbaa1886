import { createIndex, type IndexKind, TIME_INDEXES, USER_INDEXES } from '../postgres/partitions/indexes.ts'
import type { UserIndexTime } from '../postgres/partitions/settings.ts'
import type { Leaf, TreeTable } from '../postgres/partitions/tree.ts'
import { maintainNow } from './check-maintenance.ts'
import { isLongOver, type LayoutFacts } from './facts-layout.ts'
import type { IndexFacts } from './facts-postgres.ts'
import type { Finding } from './finding.ts'
import { keysOf, serves } from './index-kinds.ts'
import { listed, plural } from '../platform/units.ts'

/** The unique keys that prevent duplicates. */
const KEYS = [
  {
    table: 'events',
    keys: 'event_id',
    level: 'critical',
    harm: 'an event that is read again is stored twice',
  },
  {
    table: 'sink_offsets',
    keys: 'cluster_id,topic,partition',
    level: 'critical',
    harm: 'two sinks may write the same records',
  },
  {
    table: 'dead_letters',
    keys: 'cluster_id,topic,partition,offset',
    level: 'warning',
    harm: 'a dead letter may be stored twice',
  },
] as const
/** So many invalid indexes have a finding each. */
const MOST_EACH = 3
/** A minmax BRIN of earlier versions: a few late rows make each of its ranges span all times. */
const PLAIN_MINMAX = 'timestamptz_minmax_ops'

interface Circumstances {
  /** Undefined if it is not known. */
  layout: LayoutFacts | undefined
  userIndex: UserIndexTime
  /** The statements for the missing indexes might fail. */
  lacksColumns: boolean
}

/** Missing and invalid indexes. */
export function checkIndexes(
  indexes: readonly IndexFacts[],
  { layout, userIndex, lacksColumns }: Circumstances,
): Finding[] {
  const findings = [
    ...missingKeys(indexes),
    ...invalidIndexes(indexes),
    ...(layout === undefined || lacksColumns ? [] : missingIndexes(indexes, layout, userIndex)),
  ]
  if (findings.length > 0) return findings
  return [
    {
      check: 'indexes',
      level: 'ok',
      text: `All ${indexes.length} indexes are valid; event_id is unique.`,
    },
  ]
}

function missingKeys(indexes: readonly IndexFacts[]): Finding[] {
  return KEYS.flatMap(({ table, keys, level, harm }): Finding[] => {
    // PostgreSQL enforces an invalid unique index for new rows, but existing rows may be duplicates.
    const sameKeys = (index: IndexFacts): boolean =>
      index.keys?.split(',').toSorted().join() === keys.split(',').toSorted().join()
    if (indexes.some((index) => index.table === table && index.valid && index.unique && sameKeys(index)))
      return []
    const columns = keys
      .split(',')
      .map((column) => (column === 'offset' ? '"offset"' : column))
      .join(', ')
    return [
      {
        check: 'indexes',
        level,
        text: `"${table}" has no unique index on (${columns}): ${harm}.`,
        mend: `Delete duplicate rows, then ALTER TABLE ${table} ADD PRIMARY KEY (${columns});`,
      },
    ]
  })
}

function invalidIndexes(indexes: readonly IndexFacts[]): Finding[] {
  const invalid = indexes.filter(({ valid }) => !valid)
  const roots = invalid.filter(({ isRoot }) => isRoot)
  const own = invalid.filter(({ isRoot }) => !isRoot)
  return [
    ...roots.map(
      ({ table, name }): Finding => ({
        check: 'indexes',
        level: 'warning',
        text: `Index ${name} is on "${table}" itself, but not on all of its partitions: no query can rely on it, although new partitions get it.`,
        mend: `DROP INDEX ${name}; or build it on each partition that lacks it (CREATE INDEX CONCURRENTLY), then ALTER INDEX ${name} ATTACH PARTITION ... for each.`,
      }),
    ),
    // An index may be invalid on hundreds of partitions.
    ...(own.length > MOST_EACH ? [own] : own.map((index) => [index])).map(invalidFinding),
  ]
}

function invalidFinding(indexes: readonly IndexFacts[]): Finding {
  const [{ table, name } = { table: '', name: '' }, ...others] = indexes
  const repair = `REINDEX INDEX CONCURRENTLY ${name}; or DROP INDEX ${name};`
  return {
    check: 'indexes',
    level: 'warning',
    text:
      others.length === 0
        ? `Index ${name} on "${table}" is invalid: it slows down writes, and no query uses it.`
        : `The indexes ${listed(indexes.map((index) => index.name))} are invalid: they slow down writes, and no query uses them.`,
    mend: others.length === 0 ? repair : `For each: ${repair}`,
  }
}

/** Indexes that only queries need; they may have been dropped on purpose. */
function missingIndexes(
  indexes: readonly IndexFacts[],
  { layout, nowMs }: LayoutFacts,
  userIndex: UserIndexTime,
): Finding[] {
  const lacking = (table: TreeTable, kinds: readonly IndexKind[]): IndexKind[] =>
    kinds.filter((kind) => !indexes.some((index) => index.tableOid === table.oid && serves(index, kind)))
  if (layout.kind === 'table')
    return [
      ...notes('events', lacking(layout.root, [...USER_INDEXES, ...TIME_INDEXES]), 'CONCURRENTLY '),
      ...plainMinmax(indexes.filter(({ tableOid }) => tableOid === layout.root.oid)),
    ]
  if (layout.kind === 'unknown') {
    if (layout.problem.isOurs) return []
    const kinds = [...USER_INDEXES, ...TIME_INDEXES]
    return notes(
      'events',
      kinds.filter((kind) => !indexes.some((index) => index.table === 'events' && serves(index, kind))),
      '',
    )
  }
  const lacksUserIndex = (leaf: Leaf): boolean => lacking(leaf, USER_INDEXES).length > 0
  const closed = layout.leaves.filter((leaf) => isLongOver(leaf, nowMs))
  const open = userIndex === 'immediate' ? layout.leaves.filter((leaf) => !closed.includes(leaf)) : []
  return [
    ...notes('events', lacking(layout.root, TIME_INDEXES), ''),
    ...[layout.stray, layout.other].flatMap((table) =>
      notes(table.name, lacking(table, USER_INDEXES), 'CONCURRENTLY '),
    ),
    ...leavesWithout(closed.filter(lacksUserIndex), 'warning', 'over for more than a day'),
    ...leavesWithout(open.filter(lacksUserIndex), 'note', 'still open'),
  ]
}

/** @param how '' where PostgreSQL refuses CONCURRENTLY: on a partitioned table */
function notes(table: string, missing: readonly IndexKind[], how: '' | 'CONCURRENTLY '): Finding[] {
  if (missing.length === 0) return []
  const statements = missing.map((index) => `${createIndex(index, table, how)};`).join(' ')
  const wait =
    how === ''
      ? ' The sinks wait meanwhile, unless each partition has such an index already, built CONCURRENTLY.'
      : ''
  return [
    {
      check: 'indexes',
      level: 'note',
      text: `"${table}" has no index on ${listed(missing.map((kind) => `(${keysOf(kind)})`))}: writes are cheaper, but queries by these columns read the whole table.`,
      mend: `Unless this is intended: ${statements}${wait}`,
    },
  ]
}

function plainMinmax(ofTable: readonly IndexFacts[]): Finding[] {
  return TIME_INDEXES.flatMap((kind): Finding[] => {
    const ofTime = ofTable.filter((index) => serves(index, kind))
    const [old] = ofTime
    if (old === undefined || ofTime.some(({ operators }) => operators !== PLAIN_MINMAX)) return []
    return [
      {
        check: 'indexes',
        level: 'note',
        text: `Index ${old.name} on "events" is of an earlier version: a few events that come late make queries by ${keysOf(kind)} read much more of the table.`,
        mend: `${createIndex(kind, 'events', 'CONCURRENTLY ')}; DROP INDEX CONCURRENTLY ${old.name};`,
      },
    ]
  })
}

function leavesWithout(leaves: readonly Leaf[], level: 'note' | 'warning', state: string): Finding[] {
  if (leaves.length === 0) return []
  const [has, each] = leaves.length === 1 ? ['has', 'it'] : ['have', 'each']
  return [
    {
      check: 'indexes',
      level,
      text: `${plural(leaves.length, 'partition')} of "events" (${listed(leaves.map(({ name }) => name))}), ${state}, ${has} no index on users or on visitors: a search for one reads all of ${each}.`,
      mend: maintainNow('builds it'),
    },
  ]
}

import type { LayoutFacts, StoreFacts } from '../../../doctor/facts-layout.ts'
import type { IndexFacts } from '../../../doctor/facts-postgres.ts'
import { keysOf } from '../../../doctor/index-kinds.ts'
import { type IndexKind, TIME_INDEXES, USER_INDEXES } from '../../../postgres/partitions/indexes.ts'
import {
  eraFrom,
  partitionName,
  type PartitionUnit,
  rangeAt,
  UNIT_MS,
} from '../../../postgres/partitions/ranges.ts'
import type { Leaf, Tree, TreeTable } from '../../../postgres/partitions/tree.ts'

export const NOW_MS = Date.parse('2027-01-31T12:34:56Z')
const FIRST_LEAF_OID = 100

/** A tree with leaves from `before` ranges before now to `ahead` ranges after it. */
export function treeOf(before = 3, ahead = 14, unit: PartitionUnit = 'day'): Tree {
  const leaves = Array.from({ length: before + 1 + ahead }, (_, n): Leaf => {
    const range = rangeAt(unit, NOW_MS + (n - before) * UNIT_MS[unit])
    return { oid: FIRST_LEAF_OID + n, name: partitionName(range), ...range }
  })
  return {
    root: { oid: 1, name: 'events' },
    era: { oid: 2, name: 'events_era', ...eraFrom(NOW_MS - 100 * UNIT_MS.day) },
    stray: { oid: 3, name: 'events_stray' },
    other: { oid: 4, name: 'events_other' },
    leaves,
  }
}

export const VACUUMED: StoreFacts = { rows: 1_000, pages: 30, bytes: 245_760, isVacuumed: true }

export function layoutOf(tree: Tree): LayoutFacts {
  const tables = [tree.stray, tree.other, ...tree.leaves]
  return {
    nowMs: NOW_MS,
    layout: { kind: 'tree', ...tree },
    stores: new Map(tables.map(({ oid }) => [oid, VACUUMED])),
    newest: {
      ok: true,
      value: [
        { place: 'leaf', version: 7, count: 5_000 },
        { place: 'other', version: 4, count: 10 },
      ],
    },
  }
}

/** `events` as one table of so many rows. */
export function oneTable(rows: number): LayoutFacts {
  return {
    nowMs: NOW_MS,
    layout: { kind: 'table', root: { oid: 1, name: 'events' } },
    stores: new Map([[1, { rows, pages: rows / 30, bytes: rows * 270, isVacuumed: true }]]),
    newest: undefined,
  }
}

const INDEX: IndexFacts = {
  tableOid: 1,
  table: 'events',
  name: 'events_pkey',
  isRoot: false,
  valid: true,
  unique: false,
  keys: 'event_id',
  operators: 'uuid_ops',
}

/** Of a table, one of each kind, named by its columns. */
function indexes(kinds: readonly IndexKind[], { oid, name: table }: TreeTable): IndexFacts[] {
  return kinds.map((kind) => {
    const keys = keysOf(kind)
    return { ...INDEX, tableOid: oid, table, name: `${table}_${keys.replace(',', '_')}_idx`, keys }
  })
}

/** Those of the tree, and of the other tables. */
export function indexesOf(tree: Tree): IndexFacts[] {
  return [
    { ...INDEX, isRoot: true, unique: true },
    ...indexes(TIME_INDEXES, tree.root).map((index) => ({ ...index, isRoot: true })),
    ...[tree.stray, tree.other, ...tree.leaves].flatMap((table) => indexes(USER_INDEXES, table)),
    ...KEYS,
  ]
}

/** Those of `events` as one table, of this version, and of the other tables. */
export function indexesOfTable(): IndexFacts[] {
  return [
    { ...INDEX, unique: true },
    ...indexes([...USER_INDEXES, ...TIME_INDEXES], { oid: 1, name: 'events' }),
    ...KEYS,
  ]
}

const KEYS: readonly IndexFacts[] = [
  ['sink_offsets', 'cluster_id,topic,partition'] as const,
  ['dead_letters', 'cluster_id,topic,partition,offset'] as const,
].map(([table, keys]) => ({ ...INDEX, tableOid: 0, table, name: `${table}_pkey`, unique: true, keys }))

import { type IndexKind, TIME_INDEXES, USER_INDEXES } from '../../postgres/partitions/indexes.ts'
import { OTHER } from '../../postgres/partitions/tree.ts'
import type { Facts, IndexFacts } from './facts.ts'

/*
 * What becomes of an index of the old table:
 *
 *     key          the primary key, of the root and so of each partition
 *     time         one of TIME_INDEXES: the same
 *     user index   one of USER_INDEXES: it stays with events_other; each leaf has its own (EVENTS_USER_INDEX)
 *     superseded   the BRIN of the first migration, which late rows spoil: dropped when the one in its place is there
 *     own          of the user: of the root and so of each partition
 */
export type IndexRole = 'key' | 'time' | 'user index' | 'superseded' | 'own'

/** Pure. */
export function roleOf(index: IndexFacts): IndexRole {
  if (index.constraintType === 'p') return 'key'
  if (TIME_INDEXES.some((kind) => isTimeIndex(index, kind))) return 'time'
  if (USER_INDEXES.some((kind) => isUserIndex(index, kind))) return 'user index'
  const isOld =
    index.name === 'events_timestamp_idx' && index.method === 'brin' && index.opclasses.length === 1
  return isOld && index.keys[0] === 'timestamp' && !index.isPartial ? 'superseded' : 'own'
}

/** Those that the root or `events_other` needs and the old table lacks. Pure. */
export function missingIndexes({ indexes }: Pick<Facts, 'indexes'>): IndexKind[] {
  const valid = indexes.filter(({ isValid }) => isValid)
  return [
    ...TIME_INDEXES.filter((kind) => !valid.some((index) => isTimeIndex(index, kind))),
    ...USER_INDEXES.filter((kind) => !valid.some((index) => isUserIndex(index, kind))),
  ]
}

/** What an interrupted build has left of ours. Pure. */
export function remains({ indexes }: Pick<Facts, 'indexes'>): IndexFacts[] {
  return indexes.filter((index) => !index.isValid && ['time', 'user index'].includes(roleOf(index)))
}

/** The name on `events_other` of an index that is ours; undefined for others. Pure. */
export function ourOtherName(index: IndexFacts): string | undefined {
  const kind = [
    ...TIME_INDEXES.filter((each) => isTimeIndex(index, each)),
    ...USER_INDEXES.filter((each) => isUserIndex(index, each)),
  ][0]
  return kind === undefined ? undefined : `${OTHER}_${kind.suffix}`
}

function isTimeIndex(index: IndexFacts, { suffix }: IndexKind): boolean {
  const [opclass, ...others] = index.opclasses
  return (
    index.method === 'brin' &&
    opclass === 'timestamptz_minmax_multi_ops' &&
    others.length === 0 &&
    !index.isPartial &&
    suffix === `${index.keys[0]}_idx`
  )
}

function isUserIndex(index: IndexFacts, { suffix }: IndexKind): boolean {
  return (
    index.method === 'btree' &&
    !index.isUnique &&
    !index.hasExpressions &&
    index.keys.length === 2 &&
    suffix === `${index.keys.join('_')}_idx`
  )
}

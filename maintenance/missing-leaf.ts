import { plural } from '../platform/units.ts'
import type { Range } from '../postgres/partitions/ranges.ts'
import type { Tree } from '../postgres/partitions/tree.ts'
import type { TableLock } from './brief-transactions.ts'
import { type Action, problem } from './maintenance.ts'

/** A range without a leaf. */
export interface MissingLeaf {
  range: Range
  /** The leaf as SQL, with its schema. */
  leaf: string
  /** The same for people. */
  name: string
  /** How many rows of it are in `events_stray`. */
  strays: number
}

/** What an ATTACH locks, so that it waits for nothing after that. */
export function attachLocks({ era, stray }: Tree): TableLock[] {
  return [
    { table: era.name, mode: 'SHARE UPDATE EXCLUSIVE' },
    { table: stray.name, mode: 'ACCESS EXCLUSIVE' },
  ]
}

/** @param verb `was made` or `would be made` */
export function madeLeaf(verb: string, { name }: MissingLeaf, moved: number, { stray }: Tree): Action {
  const rows = moved === 0 ? '' : `, with ${plural(moved, 'row')} from ${stray.name}`
  return { step: 'ahead', kind: 'made', count: 1, text: `${name} ${verb}${rows}.` }
}

/** @param names of one leaf, or of the first and the last */
export function notMade(names: readonly string[], reason: string): Action {
  return problem('ahead', `${names.join(' to ')} ${names.length === 1 ? 'was' : 'were'} not made: ${reason}`)
}

/** The locks were not got. */
export function notLocked({ name }: MissingLeaf, { stray }: Tree): Action {
  return notMade(
    [name],
    `other sessions, such as a long query, use ${stray.name} all the time. Its events go there. When they have ended, run "npx firehose maintain" again.`,
  )
}

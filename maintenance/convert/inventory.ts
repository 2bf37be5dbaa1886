import { NOT_ERA } from '../../postgres/partitions/create-tree.ts'
import { OTHER, ROOT, STRAY } from '../../postgres/partitions/tree.ts'
import type { Facts } from './facts.ts'
import { missingIndexes, roleOf } from './index-roles.ts'

/** What becomes of each thing that the table has, in sentences. Pure. */
export function inventoryOf(facts: Facts): string[] {
  const { columns, constraints, indexes, triggers, policies, grants, statistics, sequences } = facts
  const wanted = constraints.filter(({ name, type }) => type !== 'n' && name !== NOT_ERA)
  const settings = columns.filter((column) => column.statistics !== null || column.options !== null)
  return [
    `Columns with their defaults (${columns.map(({ sql }) => sql).join(', ')}): every partition has them.`,
    ...indexes.map((index) => `Index ${index.sql}: ${FATES[roleOf(index)]}.`),
    ...missingIndexes(facts).map(
      ({ definition }) => `Index ${definition}: is missing, and built first, while sinks write.`,
    ),
    ...wanted.map(
      ({ sql, type }) => `${type === 'c' ? 'CHECK' : 'Foreign key'} ${sql}: every partition has it.`,
    ),
    ...triggers.map(
      ({ sql, isRow, readsTableName }) =>
        `${isRow ? 'Row' : 'Statement'} trigger ${sql}: ${isRow ? 'every partition has it' : `fires for statements that name ${ROOT}`}.` +
        (isRow && readsTableName ? ' Its function will see the name of the partition, not "events".' : ''),
    ),
    ...policies.map(({ sql }) => `Policy ${sql}: counts for ${ROOT}.`),
    ...(facts.rowSecurity ? [`Row-level security: enabled for ${ROOT}.`] : []),
    ...grants.map(
      ({ column, grantee, privileges, isOfOther }) =>
        `${privileges}${column === null ? '' : ` of ${column}`} for ${grantee}: on ${ROOT}, not on single partitions.` +
        (isOfOther ? ` It will have been granted by the owner, ${facts.owner}.` : ''),
    ),
    ...statistics.map(({ sql }) => `Extended statistics ${sql}: every partition has them.`),
    ...settings.map(({ sql }) => `Statistics settings of the column ${sql}: every partition has them.`),
    ...sequences.map(
      ({ sequence, column }) => `Sequence ${sequence}: belongs to the column ${column} of ${ROOT}.`,
    ),
    ...(facts.options === null
      ? []
      : [`Storage parameters (${facts.options}): ${STRAY} and every partition have them.`]),
    ...(facts.replicaIdentity === 'd' ? [] : [replicaIdentity(facts)]),
    ...(facts.comment === null ? [] : [`Comment: on ${ROOT}.`]),
  ]
}

const FATES = {
  key: 'every partition has it, and event_id stays unique over all',
  time: 'every partition has it',
  own: 'every partition has it',
  'user index': `stays with ${OTHER}; each partition has its own, as EVENTS_USER_INDEX says`,
  superseded: 'is dropped; a BRIN that late rows do not spoil takes its place',
}

function replicaIdentity({ replicaIdentity: identity }: Facts): string {
  return identity === 'i'
    ? `Replica identity by an index: stays with ${OTHER}; new partitions have that of their key.`
    : `Replica identity: ${STRAY} and every partition have it.`
}

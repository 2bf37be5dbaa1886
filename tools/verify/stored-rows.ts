import { isOneOf, lookupsOf } from '../../postgres/partitions/id-lookup.ts'
import { columns, type UserIdType } from './fields-sql.ts'

const UUID = /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/

/** Looked up if there is no id: a condition that is never true would open all partitions. */
const NIL = '00000000-0000-0000-0000-000000000000'

/** The table `events` as verify finds it. */
export interface EventsTable {
  userIdType: UserIdType
  /** Whether it cannot have two rows with one id. */
  hasUniqueId: boolean
}

/**
 * The relation of the rows with these ids, one for each id. They are read by the index, in one pass, from the partitions of
 * these ids alone.
 *
 * @param ids those that are no canonical UUIDs are ignored
 * @param values to which the parameters of the SQL are added
 */
export function storedRows(
  { userIdType, hasUniqueId }: EventsTable,
  ids: readonly string[],
  values: unknown[],
): string {
  const uuids = ids.filter((id) => UUID.test(id))
  const select = `SELECT ${hasUniqueId ? '' : 'DISTINCT ON (event_id)'} ${columns(userIdType)} FROM events`
  const selects = lookupsOf(uuids.length === 0 ? [NIL] : uuids).map(
    (lookup) => `(${select} WHERE ${isOneOf(lookup, values)})`,
  )
  return `(${selects.join(' UNION ALL ')})`
}

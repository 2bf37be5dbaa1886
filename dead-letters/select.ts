import type { DeadReason } from '../event/record/decoded.ts'
import type { LetterKey, LetterState } from './letter.ts'

/** Which dead letters of a topic a command applies to. Empty or undefined fields do not filter. */
export interface Selection {
  topic: string
  states: readonly LetterState[]
  cluster?: string | undefined
  reasons?: readonly DeadReason[] | undefined
  sqlstate?: string | undefined
  /** Canonical timestamps (event/timestamp.ts): since inclusive, until exclusive. */
  since?: string | undefined
  until?: string | undefined
  partition?: number | undefined
  offset?: bigint | undefined
  /** The coordinates of individual letters. */
  places?: readonly { partition: number; offset: bigint }[] | undefined
  eventId?: string | undefined
  /** Excludes letters written or changed after this pg_snapshot, so that only what the user has seen is changed. */
  snapshot?: string | undefined
  /** For paging in key order: only letters after this key. */
  after?: LetterKey | undefined
}

/**
 * The 64-bit id of the transaction that wrote a row. xmin has only its low 32 bits; this is the latest transaction with
 * these bits that may have ended. For rows more than 4 billion transactions old the result is too recent, but still old
 * enough. The sink writes letters outside subtransactions, because snapshots do not list the ids of subtransactions.
 */
const NEXT_TRANSACTION = '(SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint)'
const XMIN_WITH_EPOCH = `(${NEXT_TRANSACTION} - ((${NEXT_TRANSACTION} - xmin::text::bigint) & 4294967295))::text::xid8`

/** The WHERE condition on dead_letters, and the values of its parameters, which are numbered from $1. Pure. */
export function whereOf(selection: Selection): { where: string; values: unknown[] } {
  const values: unknown[] = []
  const conditions: string[] = []
  const add = (condition: (parameter: (value: unknown) => string) => string): void => {
    conditions.push(condition((value) => `$${values.push(value)}`))
  }
  const { topic, states, cluster, reasons, sqlstate, since, until, snapshot, after } = selection
  const { partition, offset, places, eventId } = selection

  add((p) => `topic = ${p(topic)}`)
  // A literal, so that the partial index on open letters can be used.
  if (states.length === 1) conditions.push(`state = '${states[0]}'`)
  else if (states.length > 0) add((p) => `state = ANY(${p(states)}::text[])`)
  if (cluster !== undefined) add((p) => `cluster_id = ${p(cluster)}`)
  if (reasons !== undefined && reasons.length > 0) add((p) => `reason = ANY(${p(reasons)}::text[])`)
  if (sqlstate !== undefined) add((p) => `sqlstate = ${p(sqlstate)}`)
  if (since !== undefined) add((p) => `created_at >= ${p(since)}::timestamptz`)
  if (until !== undefined) add((p) => `created_at < ${p(until)}::timestamptz`)
  if (snapshot !== undefined) {
    add((p) => `pg_visible_in_snapshot(${XMIN_WITH_EPOCH}, ${p(snapshot)}::pg_snapshot)`)
  }
  if (partition !== undefined) add((p) => `partition = ${p(partition)}`)
  if (offset !== undefined) add((p) => `"offset" = ${p(offset.toString())}::bigint`)
  if (eventId !== undefined) add((p) => `event_id = ${p(eventId)}::uuid`)
  if (places !== undefined && places.length > 0) {
    add(
      (p) =>
        `(partition, "offset") IN (SELECT * FROM unnest(${p(places.map((place) => place.partition))}::int[], ` +
        `${p(places.map((place) => place.offset.toString()))}::bigint[]))`,
    )
  }
  if (after !== undefined) {
    // The topic is the second column of the key: with it, the primary key's index can be used.
    add(
      (p) =>
        `(cluster_id, topic, partition, "offset") > (${p(after.clusterId)}, ${p(topic)}, ` +
        `${p(after.partition)}::int, ${p(after.offset.toString())}::bigint)`,
    )
  }
  return { where: conditions.join(' AND '), values }
}

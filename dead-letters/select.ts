import type { DeadReason } from '../event/record/decoded.ts'
import type { LetterKey, LetterState } from './letter.ts'

/** Which dead letters of a topic a command is about. What is empty or undefined does not narrow. */
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
  /** Any of these. */
  places?: readonly { partition: number; offset: bigint }[] | undefined
  eventId?: string | undefined
  /** No letter that was written or changed after this pg_snapshot: what a person has seen is what is done. */
  snapshot?: string | undefined
  /** Of a walk in the order of keys: what comes behind this one. */
  behind?: LetterKey | undefined
}

/**
 * The transaction that a row is of. xmin are its low 32 bits, snapshots have all 64: it is the last one with these bits
 * that can be over. Of one that is more than 4 billion transactions old that is too young by some billions, which is
 * old still. The sink writes letters outside of subtransactions, whose ids no snapshot has.
 */
const NEXT_TRANSACTION = '(SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint)'
const XMIN_WITH_EPOCH = `(${NEXT_TRANSACTION} - ((${NEXT_TRANSACTION} - xmin::text::bigint) & 4294967295))::text::xid8`

/** A condition for `WHERE` on dead_letters, with the values of its parameters from $1 on. Pure. */
export function whereOf(selection: Selection): { where: string; values: unknown[] } {
  const values: unknown[] = []
  const conditions: string[] = []
  const add = (condition: (parameter: (value: unknown) => string) => string): void => {
    conditions.push(condition((value) => `$${values.push(value)}`))
  }
  const { topic, states, cluster, reasons, sqlstate, since, until, snapshot, behind } = selection
  const { partition, offset, places, eventId } = selection

  add((p) => `topic = ${p(topic)}`)
  // Spelled out, so that the index of open letters serves.
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
  if (behind !== undefined) {
    // The topic is in the middle of the key: with it, the primary key's index serves.
    add(
      (p) =>
        `(cluster_id, topic, partition, "offset") > (${p(behind.clusterId)}, ${p(topic)}, ` +
        `${p(behind.partition)}::int, ${p(behind.offset.toString())}::bigint)`,
    )
  }
  return { where: conditions.join(' AND '), values }
}

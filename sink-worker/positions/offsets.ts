import type { TopicIdentity } from '../../event/record/decoded.ts'
import type { Watermarks } from '../../kafka/topic-ends.ts'
import type { Database } from '../../postgres/database.ts'

/** All that it takes to look, also without being a sink. */
export type Reader = Pick<Database, 'query'>

/** A row of sink_offsets: the truth about what has been written. */
export interface StoredOffset {
  partition: number
  nextOffset: bigint
  /** The last record written, to recognise the topic again; null when none was. */
  last: { offset: bigint; digest: Buffer } | null
}

/** Where reading begins, or why it must not (I9). */
export type Start =
  | {
      kind: 'read'
      /** Where to seek: the last written record, if it is still there, to compare it first. */
      seek: bigint
      check: { offset: bigint; digest: Buffer } | null
    }
  | { kind: 'stop'; reason: string }

/**
 * Decides the start of one partition before anything of it is dropped or written. Nothing past the last stable offset
 * can have been read. Pure.
 */
export function decideStart(stored: StoredOffset, kafka: Pick<Watermarks, 'low' | 'lastStable'>): Start {
  if (kafka.lastStable < stored.nextOffset) {
    return stop(
      `partition ${stored.partition} ends at offset ${kafka.lastStable}, but ${stored.nextOffset} was written: ` +
        'the topic was recreated or lost records',
    )
  }
  const check = stored.last !== null && stored.last.offset >= kafka.low ? stored.last : null
  return { kind: 'read', seek: check?.offset ?? stored.nextOffset, check }
}

/** A stop, with the commands that resolve it. */
export function stop(reason: string): { kind: 'stop'; reason: string } {
  return { kind: 'stop', reason: `${reason}; see "npm run sink -- adopt" and "npm run sink -- rewind"` }
}

/** The record to compare is another one. */
export function lastRecordIsAnother(offset: bigint | undefined): string {
  return stop(`the record at offset ${offset} is not the one that was written`).reason
}

/** The record to compare is not there, although it has not expired. */
export function lastRecordIsGone(offset: bigint): string {
  return stop(`the record at offset ${offset}, written before, is gone`).reason
}

/**
 * Makes the offsets rows that are missing, starting at what Kafka still holds, and reads all.
 *
 * @returns as readOffsets(); for a foreign cluster nothing is made
 */
export async function loadOffsets(
  db: Database,
  identity: TopicIdentity,
  watermarks: ReadonlyMap<number, Watermarks>,
): Promise<StoredOffsets> {
  const foreignCluster = await foreignClusterOf(db, identity)
  if (foreignCluster !== undefined) return { foreignCluster }
  const partitions = [...watermarks.keys()]
  // ON CONFLICT alone would wait for a transaction that has a row in hand, such as a frozen worker's.
  await db.query(
    `INSERT INTO sink_offsets (cluster_id, topic, partition, next_offset)
     SELECT $1, $2, t.partition, t.low FROM unnest($3::int[], $4::bigint[]) AS t(partition, low)
     WHERE NOT EXISTS (SELECT 1 FROM sink_offsets AS o WHERE (o.cluster_id, o.topic, o.partition) = ($1, $2, t.partition))
     ON CONFLICT DO NOTHING`,
    [
      identity.clusterId,
      identity.topic,
      partitions,
      partitions.map((p) => String(watermarks.get(p)?.low ?? 0)),
    ],
  )
  return { offsets: await readRows(db, identity) }
}

/** The rows of sink_offsets by partition; or the foreign cluster under which alone this topic was written before. */
export type StoredOffsets = { offsets: ReadonlyMap<number, StoredOffset> } | { foreignCluster: string }

/** As loadOffsets(), without making any. */
export async function readOffsets(db: Reader, identity: TopicIdentity): Promise<StoredOffsets> {
  const foreignCluster = await foreignClusterOf(db, identity)
  return foreignCluster === undefined ? { offsets: await readRows(db, identity) } : { foreignCluster }
}

async function foreignClusterOf(db: Reader, identity: TopicIdentity): Promise<string | undefined> {
  const { rows } = await db.query<{ cluster_id: string }>(
    'SELECT DISTINCT cluster_id FROM sink_offsets WHERE topic = $1',
    [identity.topic],
  )
  const known = rows.map((row) => row.cluster_id)
  return known.includes(identity.clusterId) ? undefined : known[0]
}

async function readRows(db: Reader, identity: TopicIdentity): Promise<Map<number, StoredOffset>> {
  const { rows } = await db.query<{
    partition: number
    next_offset: string
    last_offset: string | null
    last_digest: Buffer | null
  }>(
    'SELECT partition, next_offset, last_offset, last_digest FROM sink_offsets WHERE (cluster_id, topic) = ($1, $2)',
    [identity.clusterId, identity.topic],
  )
  const offsets = rows.map((row): [number, StoredOffset] => [
    row.partition,
    {
      partition: row.partition,
      nextOffset: BigInt(row.next_offset),
      last:
        row.last_offset === null || row.last_digest === null
          ? null
          : { offset: BigInt(row.last_offset), digest: row.last_digest },
    },
  ])
  return new Map(offsets)
}

/** Whether the topic was written before, under any cluster: then it must not be created anew. */
export async function wasSeenBefore(db: Database, topic: string): Promise<boolean> {
  const { rowCount } = await db.query('SELECT 1 FROM sink_offsets WHERE topic = $1 LIMIT 1', [topic])
  return rowCount !== 0
}

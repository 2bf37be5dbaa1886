import type { TopicIdentity } from '../../event/record/decoded.ts'
import type { Watermarks } from '../../kafka/topic-ends.ts'
import type { Database } from '../../postgres/database.ts'

/** A connection that can only read; the doctor has its own. */
export type Reader = Pick<Database, 'query'>

/** A row of sink_offsets: what has been written. */
export interface StoredOffset {
  partition: number
  nextOffset: bigint
  /** The last record written, to recognise a recreated topic; null if none was written. */
  last: { offset: bigint; digest: Buffer } | null
}

/** Where reading starts, or why it must not start (I9). */
export type Start =
  | {
      kind: 'read'
      /** Where to seek: the last written record if Kafka still has it, so that it can be compared first. */
      seek: bigint
      check: { offset: bigint; digest: Buffer } | null
    }
  | { kind: 'stop'; reason: string }

/**
 * Decides where reading of one partition starts. No record past the last stable offset can have been read, so a
 * stored offset beyond it is wrong. Pure.
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

/** Stops the partition; the reason names the commands that resolve it. */
export function stop(reason: string): { kind: 'stop'; reason: string } {
  return { kind: 'stop', reason: `${reason}; see "npx firehose adopt" and "npx firehose rewind"` }
}

/** The reason to stop when the last written record has another digest. */
export function lastRecordIsAnother(offset: bigint | undefined): string {
  return stop(`the record at offset ${offset} is not the one that was written`).reason
}

/** The reason to stop when the last written record is missing, although it has not expired. */
export function lastRecordIsGone(offset: bigint): string {
  return stop(`the record at offset ${offset}, written before, is gone`).reason
}

/**
 * Creates missing rows in sink_offsets, each at its partition's low watermark, then reads all rows of the topic.
 *
 * @returns the same as readOffsets(); for a foreign cluster no row is created
 */
export async function loadOffsets(
  db: Database,
  identity: TopicIdentity,
  watermarks: ReadonlyMap<number, Watermarks>,
): Promise<StoredOffsets> {
  const foreignCluster = await foreignClusterOf(db, identity)
  if (foreignCluster !== undefined) return { foreignCluster }
  const partitions = [...watermarks.keys()]
  // ON CONFLICT alone would wait for a transaction that holds one of the rows, such as that of a frozen worker.
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

/** The rows of sink_offsets by partition; or the id of another cluster, if the topic was written only from there. */
export type StoredOffsets = { offsets: ReadonlyMap<number, StoredOffset> } | { foreignCluster: string }

/** Reads the rows of sink_offsets for this topic and cluster; creates none. */
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

/** Whether the topic was written before, from any cluster: then it must not be created again. */
export async function wasSeenBefore(db: Database, topic: string): Promise<boolean> {
  const { rowCount } = await db.query('SELECT 1 FROM sink_offsets WHERE topic = $1 LIMIT 1', [topic])
  return rowCount !== 0
}

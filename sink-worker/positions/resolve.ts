import type { Database } from '../../postgres/database.ts'
import { lastRecordIsAnother, lastRecordIsGone, readOffsets } from './offsets.ts'
import { digestOf } from './partition.ts'
import { decidePosition, watermarksOf } from './positions.ts'
import type { TopicDescription } from '../record-source.ts'
import type { KafkaRecord, TopicIdentity } from '../../event/record/decoded.ts'

/**
 * What a person decides about offsets that stopped a partition (I9). Both only move offsets: what is stored stays, and
 * what is read again is recognised by its event_id.
 */

/** What `adopt` adds to the cluster_id of an earlier topic's dead letters. */
const UNTIL = ' until '

/** The cluster's id as it was before `adopt` renamed the dead letters. */
export function originalClusterId(clusterId: string): string {
  return clusterId.split(UNTIL, 1)[0] ?? clusterId
}

/** Reads the record at one offset of each partition; a partition is left out when no record is there. */
export type ReadRecords = (
  offsets: ReadonlyMap<number, bigint>,
) => Promise<ReadonlyMap<number, Pick<KafkaRecord, 'value'>>>

/**
 * The partitions that a sink stops, or would stop, and why: decided as the sink does, the comparison of the record
 * written last included. Changes nothing.
 */
export async function findStopped(
  db: Database,
  description: TopicDescription,
  topic: string,
  readRecords: ReadRecords,
): Promise<Map<number, string>> {
  const loaded = await readOffsets(db, { clusterId: description.clusterId, topic })
  const reasons = new Map<number, string>()
  const checks = new Map<number, { offset: bigint; digest: Buffer }>()
  for (const partition of description.partitions.keys()) {
    const { start } = decidePosition(description, loaded, partition)
    if (start.kind === 'stop') reasons.set(partition, start.reason)
    else if (start.check !== null) checks.set(partition, start.check)
  }
  const found = await readRecords(new Map([...checks].map(([partition, { offset }]) => [partition, offset])))
  for (const [partition, { offset, digest }] of checks) {
    const now = found.get(partition)
    if (now === undefined) reasons.set(partition, lastRecordIsGone(offset))
    else if (!digestOf(now).equals(digest)) reasons.set(partition, lastRecordIsAnother(offset))
  }
  return reasons
}

/** Where a partition is to be read from. */
export interface Target {
  partition: number
  /** Its first retained record, if this lies before it. */
  offset: bigint
}

export interface MoveOptions {
  /** A partition that stands before its target stays there, so that nothing unread is passed over. */
  onlyBack?: boolean
  /**
   * Another topic of the same name: the dead letters of the earlier one keep their coordinates under a cluster_id of
   * their own, so that they do not stand in the way of this one's.
   */
  isOtherTopic?: boolean
  /** Says what it would do, and changes nothing. */
  isDryRun?: boolean
}

/** The position of one partition as it was and as it is now; `from` is null when there was none. */
export interface Moved {
  partition: number
  from: bigint | null
  to: bigint
}

/**
 * The topic as it is now, on the cluster as it is now, is the one to read, from these offsets on.
 *
 * @throws for a partition that Kafka does not know, or an offset past its end; then nothing is moved
 */
export async function moveOffsets(
  db: Database,
  description: TopicDescription,
  topic: string,
  targets: readonly Target[],
  { onlyBack = false, isOtherTopic = false, isDryRun = false }: MoveOptions = {},
): Promise<Moved[]> {
  const identity = { clusterId: description.clusterId, topic }
  await db.query('BEGIN')
  try {
    const moved: Moved[] = []
    for (const { partition, offset } of targets.toSorted((a, b) => a.partition - b.partition)) {
      const { low, lastStable: end } = watermarksOf(description, partition)
      if (offset > end) throw new Error(`partition ${partition} ends at offset ${end}, before ${offset}`)
      const to = offset > low ? offset : low
      const from = await lockOffset(db, identity, partition)
      const stays = onlyBack && from !== null && from < to
      moved.push({ partition, from, to: stays ? from : to })
      if (stays) continue
      await setOffset(db, identity, partition, to)
      if (isOtherTopic) await setDeadLettersAside(db, identity, partition)
    }
    await db.query(isDryRun ? 'ROLLBACK' : 'COMMIT')
    return moved
  } catch (error) {
    await db.rollback()
    throw error
  }
}

/** @returns where it stands */
async function lockOffset(
  db: Database,
  { clusterId, topic }: TopicIdentity,
  partition: number,
): Promise<bigint | null> {
  const { rows } = await db.query<{ next_offset: string }>(
    'SELECT next_offset FROM sink_offsets WHERE (cluster_id, topic, partition) = ($1, $2, $3) FOR UPDATE',
    [clusterId, topic, partition],
  )
  return rows[0] === undefined ? null : BigInt(rows[0].next_offset)
}

async function setOffset(
  db: Database,
  { clusterId, topic }: TopicIdentity,
  partition: number,
  to: bigint,
): Promise<void> {
  await db.query(
    `INSERT INTO sink_offsets (cluster_id, topic, partition, next_offset) VALUES ($1, $2, $3, $4)
     ON CONFLICT (cluster_id, topic, partition) DO UPDATE
     SET next_offset = excluded.next_offset, last_offset = NULL, last_digest = NULL, updated_at = now()`,
    [clusterId, topic, partition, to.toString()],
  )
}

async function setDeadLettersAside(
  db: Database,
  { clusterId, topic }: TopicIdentity,
  partition: number,
): Promise<void> {
  // In this order: a replay holds its letters until its history is written.
  for (const table of ['dead_letters', 'dead_letter_history']) {
    await db.query(
      `UPDATE ${table}
       SET cluster_id = cluster_id || $4 || to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
       WHERE (cluster_id, topic, partition) = ($1, $2, $3)`,
      [clusterId, topic, partition, UNTIL],
    )
  }
}

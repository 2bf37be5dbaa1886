import type { Database } from '../../postgres/database.ts'
import { lastRecordIsAnother, lastRecordIsGone, readOffsets } from './offsets.ts'
import { digestOf } from './place.ts'
import { decidePosition, watermarksOf } from './positions.ts'
import type { TopicDescription } from '../record-source.ts'
import type { KafkaRecord, TopicIdentity } from '../../event/record/decoded.ts'

/*
 * How an operator resolves offsets that stopped a partition (I9): `npx firehose adopt` and `rewind`. Both only move
 * offsets: stored events stay, and events that are read again are recognised by their event_id.
 */

/** `adopt` appends this and the time to the cluster_id of the earlier topic's dead letters. */
const UNTIL = ' until '

/** The cluster's id without the suffix that `adopt` appended. */
export function originalClusterId(clusterId: string): string {
  return clusterId.split(UNTIL, 1)[0] ?? clusterId
}

/** Reads the record at one offset of each partition. The result lacks partitions without a record at that offset. */
export type ReadRecords = (
  offsets: ReadonlyMap<number, bigint>,
) => Promise<ReadonlyMap<number, Pick<KafkaRecord, 'value'>>>

/**
 * Finds the partitions that a sink has stopped or would stop, with the reasons. Applies the sink's own checks, including
 * the comparison of the last written record. Changes nothing.
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

/** Where to read a partition from. */
export interface Target {
  partition: number
  /** Raised to the first retained record if that is later. */
  offset: bigint
}

export interface MoveOptions {
  /** Never moves a partition forward, so that no unread record is skipped. */
  onlyBack?: boolean
  /**
   * This is another topic of the same name. The dead letters of the earlier one get a cluster_id of their own, so that
   * their coordinates do not collide with those of this topic.
   */
  isOtherTopic?: boolean
  /** Returns what would be moved, and changes nothing. */
  isDryRun?: boolean
}

/** The old and the new position of one partition; `from` is null if there was none. */
export interface Moved {
  partition: number
  from: bigint | null
  to: bigint
}

/**
 * Declares the current topic on the current cluster to be the one to read, from these offsets on.
 *
 * @throws for a partition that Kafka does not know, or an offset past its end; nothing is moved then
 */
export async function moveOffsets(
  db: Database,
  description: TopicDescription,
  topic: string,
  targets: readonly Target[],
  { onlyBack = false, isOtherTopic = false, isDryRun = false }: MoveOptions = {},
): Promise<Moved[]> {
  const identity = { clusterId: description.clusterId, topic }
  await db.query('BEGIN ISOLATION LEVEL READ COMMITTED') // so that it waits for a sink instead of failing
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
      if (isOtherTopic) await renameClusterOfDeadLetters(db, identity, partition)
    }
    await db.query(isDryRun ? 'ROLLBACK' : 'COMMIT')
    return moved
  } catch (error) {
    await db.rollback()
    throw error
  }
}

/** @returns the current next_offset, or null if there is no row */
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

async function renameClusterOfDeadLetters(
  db: Database,
  { clusterId, topic }: TopicIdentity,
  partition: number,
): Promise<void> {
  // In this order: a replay locks dead letters before it writes their history.
  for (const table of ['dead_letters', 'dead_letter_history']) {
    await db.query(
      `UPDATE ${table}
       SET cluster_id = cluster_id || $4 || to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
       WHERE (cluster_id, topic, partition) = ($1, $2, $3)`,
      [clusterId, topic, partition, UNTIL],
    )
  }
}

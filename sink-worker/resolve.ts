import type { Database } from './database.ts'
import { watermarksOf } from './positions.ts'
import type { TopicDescription } from './record-source.ts'

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

/** The position of one partition as it was and as it is now; `from` is null when there was none. */
export interface Moved {
  partition: number
  from: bigint | null
  to: bigint
}

/**
 * The topic as it is now, on the cluster as it is now, is the one to read: from its first retained record, or from
 * `offset` if that is later.
 *
 * @param partitions all of the topic's when left out
 * @param isOtherTopic another topic of the same name: the dead letters of the earlier one keep their coordinates under a
 *   cluster_id of their own, so that they do not stand in the way of this one's
 * @throws for a partition that Kafka does not know, or an offset past its end; then nothing is moved
 */
export async function moveOffsets(
  db: Database,
  description: TopicDescription,
  topic: string,
  offset: bigint,
  partitions: readonly number[] = [...description.partitions.keys()],
  isOtherTopic = false,
): Promise<Moved[]> {
  await db.query('BEGIN')
  try {
    const moved: Moved[] = []
    for (const partition of partitions.toSorted((a, b) => a - b)) {
      const { low, high } = watermarksOf(description, partition)
      if (offset > high) throw new Error(`partition ${partition} ends at offset ${high}, before ${offset}`)
      const to = offset > low ? offset : low
      const { rows } = await db.query<{ next_offset: string }>(
        'SELECT next_offset FROM sink_offsets WHERE (cluster_id, topic, partition) = ($1, $2, $3) FOR UPDATE',
        [description.clusterId, topic, partition],
      )
      await db.query(
        `INSERT INTO sink_offsets (cluster_id, topic, partition, next_offset) VALUES ($1, $2, $3, $4)
         ON CONFLICT (cluster_id, topic, partition) DO UPDATE
         SET next_offset = excluded.next_offset, last_offset = NULL, last_digest = NULL, updated_at = now()`,
        [description.clusterId, topic, partition, to.toString()],
      )
      if (isOtherTopic) {
        // In this order: a replay holds its letters until its history is written.
        for (const table of ['dead_letters', 'dead_letter_history']) {
          await db.query(
            `UPDATE ${table}
             SET cluster_id = cluster_id || $4 || to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
             WHERE (cluster_id, topic, partition) = ($1, $2, $3)`,
            [description.clusterId, topic, partition, UNTIL],
          )
        }
      }
      const before = rows[0]?.next_offset
      moved.push({ partition, from: before === undefined ? null : BigInt(before), to })
    }
    await db.query('COMMIT')
    return moved
  } catch (error) {
    await db.rollback()
    throw error
  }
}

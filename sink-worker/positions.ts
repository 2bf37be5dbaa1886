import type { Database } from './database.ts'
import type { TopicIdentity } from './fence.ts'
import { decideStart, loadOffsets, type Start, stop, type StoredOffset, type Watermarks } from './offsets.ts'
import type { PartitionState } from './partition.ts'
import type { TopicDescription, TopicInspector } from './record-source.ts'

/** @throws when Kafka does not know the partition: its metadata may be old, or someone deleted the topic */
export function watermarksOf(description: TopicDescription, partition: number): Watermarks {
  const watermarks = description.partitions.get(partition)
  if (watermarks === undefined) throw new Error(`Kafka does not know partition ${partition}`)
  return watermarks
}

/** During a database outage, Kafka still tells how far behind we are. */
export function showLag(states: Iterable<PartitionState>, { partitions }: TopicDescription): void {
  for (const state of states)
    state.highWatermark = partitions.get(state.partition)?.high ?? state.highWatermark
}

/**
 * As readPositions(), which is asked twice where one can not be right: another worker may have read and written on
 * after `description` was made, and an end of the log that is newer decides.
 */
export async function readSurePositions(
  database: Database,
  inspector: TopicInspector,
  description: TopicDescription,
  identity: TopicIdentity,
  partitions: readonly number[],
): Promise<Map<number, PartitionState>> {
  const positions = await readPositions(database, description, identity, partitions)
  if ([...positions.values()].every(({ stopped }) => stopped === undefined)) return positions
  return await readPositions(database, await inspector.describe(), identity, partitions)
}

/**
 * Where reading of one partition begins, or why it must not (I9). Pure.
 *
 * @param foreignCluster see readForeignCluster
 */
export function decidePosition(
  { clusterId, compacted }: Pick<TopicDescription, 'clusterId' | 'compacted'>,
  foreignCluster: string | undefined,
  stored: StoredOffset,
  kafka: Watermarks,
): Start {
  if (compacted) return stop('the topic is compacted, which drops events: set cleanup.policy=delete')
  if (foreignCluster !== undefined) {
    return stop(`the topic was written from cluster ${foreignCluster}, this one is ${clusterId}`)
  }
  return decideStart(stored, kafka)
}

/**
 * Where each partition stands, by PostgreSQL, and whether that can be right, by Kafka (I9).
 *
 * @throws the driver's errors; see watermarksOf
 */
async function readPositions(
  database: Database,
  description: TopicDescription,
  identity: TopicIdentity,
  partitions: readonly number[],
): Promise<Map<number, PartitionState>> {
  const watermarks = new Map(partitions.map((p) => [p, watermarksOf(description, p)]))
  const loaded = await loadOffsets(database, identity, watermarks)

  const foreignCluster = 'foreignCluster' in loaded ? loaded.foreignCluster : undefined
  return new Map(
    [...watermarks].map(([partition, kafka]) => {
      const row = 'offsets' in loaded ? loaded.offsets.get(partition) : undefined
      const stored = row ?? { partition, nextOffset: kafka.low, last: null }
      const decision = decidePosition(description, foreignCluster, stored, kafka)
      const state: PartitionState = {
        partition,
        next: stored.nextOffset,
        read: stored.nextOffset,
        check: decision.kind === 'read' ? decision.check : null,
        highWatermark: kafka.high,
        gapConfirmed: false,
        stopped: decision.kind === 'stop' ? decision.reason : undefined,
      }
      return [partition, state]
    }),
  )
}

import type { Database } from './database.ts'
import type { TopicIdentity } from './fence.ts'
import { decideStart, loadOffsets, type Start, stop, type StoredOffset, type Watermarks } from './offsets.ts'
import type { PartitionState } from './partition.ts'
import type { TopicDescription } from './record-source.ts'

/** Of a partition that Kafka does not know: ends before any offset, which stops it. */
const UNKNOWN: Watermarks = { low: 0n, high: -1n }

/**
 * Where each partition stands, by PostgreSQL, and whether that can be right, by Kafka (I9).
 *
 * @throws the driver's errors
 */
export async function readPositions(
  database: Database,
  description: TopicDescription,
  identity: TopicIdentity,
  partitions: readonly number[],
): Promise<Map<number, PartitionState>> {
  const watermarks = new Map(partitions.map((p) => [p, description.partitions.get(p) ?? UNKNOWN]))
  const known = new Map([...watermarks].filter(([, marks]) => marks !== UNKNOWN))
  const loaded = await loadOffsets(database, identity, known)

  const start = (stored: StoredOffset, kafka: Watermarks): Start => {
    if (description.compacted)
      return stop('the topic is compacted, which drops events: set cleanup.policy=delete')
    if ('foreignCluster' in loaded) {
      return stop(
        `the topic was written from cluster ${loaded.foreignCluster}, this one is ${identity.clusterId}`,
      )
    }
    return decideStart(stored, kafka)
  }
  return new Map(
    [...watermarks].map(([partition, kafka]) => {
      const row = 'offsets' in loaded ? loaded.offsets.get(partition) : undefined
      const stored = row ?? { partition, nextOffset: kafka.low, last: null }
      const decision = start(stored, kafka)
      const state: PartitionState = {
        partition,
        next: stored.nextOffset,
        check: decision.kind === 'read' ? decision.check : null,
        highWatermark: kafka.high,
        gapConfirmed: false,
        stopped: decision.kind === 'stop' ? decision.reason : undefined,
      }
      return [partition, state]
    }),
  )
}

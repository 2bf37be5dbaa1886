import type { TopicIdentity } from '../../event/record/decoded.ts'
import type { Logger } from '../../platform/log.ts'
import type { Watermarks } from '../../kafka/topic-ends.ts'
import type { Database } from '../../postgres/database.ts'
import {
  decideStart,
  loadOffsets,
  type Start,
  stop,
  type StoredOffset,
  type StoredOffsets,
} from './offsets.ts'
import type { PartitionState } from './partition.ts'
import type { TopicDescription, TopicInspector } from '../record-source.ts'

/** @throws if Kafka does not know the partition: the metadata may be stale, or someone deleted the topic */
export function watermarksOf(description: TopicDescription, partition: number): Watermarks {
  const watermarks = description.partitions.get(partition)
  if (watermarks === undefined) throw new Error(`Kafka does not know partition ${partition}`)
  return watermarks
}

/** Updates the ends of all partitions, from which the lag is computed. */
export function updateAllEnds(states: Iterable<PartitionState>, { partitions }: TopicDescription): void {
  for (const state of states) updateEnds(state, partitions.get(state.partition))
}

/** Updates the partition's ends from a description of the topic or from a fetch. */
export function updateEnds(state: PartitionState, ends: Omit<Watermarks, 'low'> | undefined): void {
  if (ends === undefined) return
  state.lastStable = ends.lastStable
  state.highWatermark = ends.high
}

/** Logs newly stopped partitions and newly expired records. */
export function logChanges(
  logger: Logger,
  before: ReadonlyMap<number, PartitionState>,
  now: ReadonlyMap<number, PartitionState>,
): void {
  for (const state of now.values()) {
    const { partition, stopped, expired } = state
    const earlier = before.get(partition)
    const isNews = stopped !== undefined && earlier?.stopped !== stopped
    if (isNews) logger.error({ partition, reason: stopped }, 'partition stopped')
    if (expired > (earlier?.expired ?? 0)) logExpired(logger, state)
  }
}

export function logExpired(logger: Logger, { partition, queued, expired }: PartitionState): void {
  const facts = { partition, from: String(queued), count: expired }
  logger.error(facts, 'records expired before they were read')
}

/**
 * Reads the positions; if one of them seems wrong, reads them again with a newer description of the topic. Another
 * worker may have moved the offsets past the ends in `description`, which would look like a recreated topic.
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

/** The position of one partition in PostgreSQL, and whether it is consistent with Kafka (I9). Pure. */
export function decidePosition(
  description: TopicDescription,
  loaded: StoredOffsets,
  partition: number,
): { stored: StoredOffset; start: Start } {
  const kafka = watermarksOf(description, partition)
  const row = 'offsets' in loaded ? loaded.offsets.get(partition) : undefined
  const stored = row ?? { partition, nextOffset: kafka.low, last: null }
  if (description.compacted) {
    const reason = 'the topic is compacted, which deletes events: set its cleanup.policy to "delete"'
    return { stored, start: { kind: 'stop', reason } }
  }
  if ('foreignCluster' in loaded) {
    const { foreignCluster } = loaded
    const reason = `the topic was written from cluster ${foreignCluster}, this one is ${description.clusterId}`
    return { stored, start: stop(reason) }
  }
  return { stored, start: decideStart(stored, kafka) }
}

/**
 * Reads the positions of the partitions. Creates missing rows in sink_offsets.
 *
 * @throws the driver's errors, or if Kafka does not know a partition
 */
async function readPositions(
  database: Database,
  description: TopicDescription,
  identity: TopicIdentity,
  partitions: readonly number[],
): Promise<Map<number, PartitionState>> {
  const watermarks = new Map(partitions.map((p) => [p, watermarksOf(description, p)]))
  const loaded = await loadOffsets(database, identity, watermarks)
  return new Map(
    [...watermarks].map(([partition, kafka]) => {
      const { stored, start } = decidePosition(description, loaded, partition)
      const read = kafka.low > stored.nextOffset ? kafka.low : stored.nextOffset
      const state: PartitionState = {
        partition,
        next: stored.nextOffset,
        queued: stored.nextOffset,
        read,
        expired: Number(read - stored.nextOffset),
        check: start.kind === 'read' ? start.check : null,
        lastStable: kafka.lastStable,
        highWatermark: kafka.high,
        writing: undefined,
        gapConfirmed: false,
        stopped: start.kind === 'stop' ? start.reason : undefined,
      }
      return [partition, state]
    }),
  )
}

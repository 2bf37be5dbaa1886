import type { ReadRange } from '../../kafka/topic-reader.ts'

/** A row of sink_offsets. */
export interface SinkOffset {
  cluster_id: string
  partition: number
  /** A decimal string. */
  next_offset: string
}

/** The end (exclusive) of what the sink has stored of each partition. */
export function boundsOf(
  partitions: readonly ReadRange[],
  rows: readonly SinkOffset[],
  clusterId: string,
): Map<number, bigint> {
  const next = byPartition(rows, clusterId)
  return new Map(partitions.map(({ partition, low }) => [partition, next.get(partition) ?? low]))
}

/** The number of offsets up to the ends of the partitions that the sink has not stored. */
export function unstoredRecords(
  partitions: readonly ReadRange[],
  rows: readonly SinkOffset[],
  clusterId: string,
): bigint {
  const bounds = boundsOf(partitions, rows, clusterId)
  const unstored = partitions.map(({ partition, low, high }) => high - (bounds.get(partition) ?? low))
  return unstored.reduce((sum, count) => (count > 0n ? sum + count : sum), 0n)
}

/**
 * Impossible offsets of the sink (I9), one sentence each. Offsets and ends move while events flow: an offset is wrong
 * past the end only if it was read `before` the topic's ends, and expired records are lost only if they lie below an
 * offset that was read `after` them.
 */
export function offsetProblems(
  partitions: readonly ReadRange[],
  before: readonly SinkOffset[],
  after: readonly SinkOffset[],
  clusterId: string,
): string[] {
  const problems: string[] = []
  const [first, last] = [byPartition(before, clusterId), byPartition(after, clusterId)]
  if (first.size === 0 && before.length > 0) {
    problems.push(`sink_offsets has rows for this topic only under other clusters, not under ${clusterId}`)
  }
  for (const { partition, low, high } of partitions) {
    const [earlier = low, later = low] = [first.get(partition), last.get(partition)]
    first.delete(partition)
    if (later < low) {
      problems.push(`partition ${partition}: offsets ${later} to ${low - 1n} expired before they were stored`)
    }
    if (earlier > high) {
      problems.push(
        `partition ${partition} ends at ${high}, but ${earlier} was stored: was the topic recreated?`,
      )
    }
  }
  for (const partition of first.keys()) {
    problems.push(`sink_offsets has partition ${partition}, but Kafka does not`)
  }
  return problems
}

function byPartition(rows: readonly SinkOffset[], clusterId: string): Map<number, bigint> {
  const own = rows.filter((row) => row.cluster_id === clusterId)
  return new Map(own.map((row) => [row.partition, BigInt(row.next_offset)]))
}

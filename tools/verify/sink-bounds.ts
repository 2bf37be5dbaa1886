import type { ReadRange } from '../../kafka/topic-reader.ts'

/** A row of sink_offsets. */
export interface SinkOffset {
  cluster_id: string
  partition: number
  /** Decimal. */
  next_offset: string
}

/** Up to where the sink has read each partition (exclusive). */
export function boundsOf(
  partitions: readonly ReadRange[],
  rows: readonly SinkOffset[],
  clusterId: string,
): Map<number, bigint> {
  const next = byPartition(rows, clusterId)
  return new Map(partitions.map(({ partition, low }) => [partition, next.get(partition) ?? low]))
}

/**
 * What cannot be right about the sink's offsets (I9), one sentence each. Offsets and ends move while events flow: only
 * an offset that was asked `before` the topic's ends cannot be past its end, and only one that was asked `after` them
 * cannot be below its beginning.
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
    problems.push(`sink_offsets has this topic only under other clusters, not under ${clusterId}`)
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
    problems.push(`partition ${partition} is stored, but Kafka does not know it`)
  }
  return problems
}

function byPartition(rows: readonly SinkOffset[], clusterId: string): Map<number, bigint> {
  const own = rows.filter((row) => row.cluster_id === clusterId)
  return new Map(own.map((row) => [row.partition, BigInt(row.next_offset)]))
}

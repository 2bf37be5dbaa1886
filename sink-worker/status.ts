import type { Breaker } from './outage/outage.ts'
import type { PartitionState } from './positions/partition.ts'

/** The worker's state as /health reports it. Pure. */
export function statusOf(
  breaker: Breaker,
  partitions: readonly PartitionState[],
  { isStarting }: { isStarting: boolean },
) {
  const stopped = partitions.find((state) => state.stopped !== undefined)?.stopped
  const isPaused = breaker.kind !== 'running'
  return {
    state: isPaused ? 'paused' : isStarting ? 'starting' : stopped === undefined ? 'running' : 'stopped',
    reason: isPaused ? breaker.reason : stopped,
    // The sink recovers from an outage by itself; everything else needs an operator.
    needs_person: isPaused ? breaker.needsPerson : stopped !== undefined,
    paused_since: isPaused ? new Date(breaker.sinceMs).toISOString() : undefined,
    partitions: partitions.map(partitionStatus),
  }
}

function partitionStatus(state: PartitionState) {
  const { partition, next, read, writing, lastStable, highWatermark, stopped } = state
  const done = writing === undefined ? read : next
  return {
    partition,
    next_offset: Number(next),
    lag: Math.max(0, Number(highWatermark - done)),
    /** The part of the lag that another producer's open transaction keeps from being read. */
    held_back: Math.max(0, Number(highWatermark - (lastStable > done ? lastStable : done))),
    ...(stopped === undefined ? {} : { stopped }),
  }
}

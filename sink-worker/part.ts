import type { WriteRequest } from './write-batch.ts'
import { digestOf, type PartitionState } from './partition.ts'
import type { DeadLetter, DecodedRow, KafkaRecord } from './records.ts'

/** A batch of one partition that waits for its transaction. */
export interface Part {
  generation: number
  state: PartitionState
  /** next_offset as it must stand, and as it shall stand. */
  from: bigint
  to: bigint
  last: KafkaRecord
  rows: DecodedRow[]
  dead: DeadLetter[]
  /** Records before this batch that expired before they were read. */
  expired: number
}

/** The parts as one transaction. */
export function toRequest(parts: readonly Part[]): WriteRequest {
  const sorted = parts.toSorted((a, b) => a.state.partition - b.state.partition)
  return {
    slices: sorted.map(({ state, from, to, last }) => ({
      partition: state.partition,
      from,
      to,
      lastOffset: last.offset,
      lastDigest: digestOf(last),
    })),
    rows: sorted.flatMap(({ rows }) => rows),
    dead: sorted.flatMap(({ dead }) => dead),
  }
}

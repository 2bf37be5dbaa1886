import type { WriteRequest } from './write-batch.ts'
import type { Slice } from './fence.ts'
import { digestOf, type PartitionState } from '../positions/partition.ts'
import type { DeadLetter, DecodedRow, KafkaRecord } from '../../event/record/decoded.ts'

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

/** The parts as one transaction. Those of one partition follow each other without a seam, and become one slice. */
export function toRequest(parts: readonly Part[]): WriteRequest {
  const sorted = parts.toSorted((a, b) => a.state.partition - b.state.partition)
  const slices: Slice[] = []
  for (const { state, from, to, last } of sorted) {
    const before = slices.at(-1)
    const isFurther = before?.partition === state.partition
    if (isFurther) slices.pop()
    slices.push({
      partition: state.partition,
      from: isFurther ? before.from : from,
      to,
      lastOffset: last.offset,
      lastDigest: digestOf(last),
    })
  }
  return {
    slices,
    rows: sorted.flatMap(({ rows }) => rows),
    dead: sorted.flatMap(({ dead }) => dead),
  }
}

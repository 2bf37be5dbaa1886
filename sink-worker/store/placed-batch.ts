import { InvariantError } from '../../platform/errors.ts'
import type { WriteRequest } from './write-batch.ts'
import type { Slice } from './fence.ts'
import { digestOf, type PartitionState } from '../positions/partition.ts'
import type { DeadLetter, DecodedRow, KafkaRecord } from '../../event/record/decoded.ts'

/** A placed and decoded batch of one partition, waiting for its transaction. */
export interface PlacedBatch {
  generation: number
  state: PartitionState
  /** The value that sink_offsets.next_offset must have before the transaction. */
  from: bigint
  /** The value that it gets. */
  to: bigint
  last: KafkaRecord
  rows: DecodedRow[]
  dead: DeadLetter[]
  /** Number of records before this batch that expired before they were read. */
  expired: number
}

/** Combines batches into one write request. The batches of one partition are contiguous and become one slice. */
export function toRequest(batches: readonly PlacedBatch[]): WriteRequest {
  const sorted = batches.toSorted((a, b) => a.state.partition - b.state.partition)
  const slices: Slice[] = []
  for (const { state, from, to, last } of sorted) {
    const before = slices.at(-1)
    const isFurther = before?.partition === state.partition
    if (isFurther && before.to !== from)
      throw new InvariantError(
        `partition ${state.partition}: a batch from ${from} follows one to ${before.to}`,
      )
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

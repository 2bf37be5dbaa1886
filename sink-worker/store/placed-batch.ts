import type { UserIdType } from '../../event/kinds.ts'
import { InvariantError } from '../../platform/errors.ts'
import type { WriteRequest } from './write-batch.ts'
import type { Slice } from './fence.ts'
import type { Epoch } from '../positions/epoch.ts'
import type { Partition, Taken } from '../positions/partition.ts'
import { digestOf } from '../positions/place.ts'
import type { DeadLetter, DecodedRow } from '../../event/record/decoded.ts'

/** A placed and decoded batch of one partition, waiting for its transaction. */
export interface PlacedBatch extends Taken {
  /** The epoch in which it was placed. Once that is over, the batch must not be written. */
  epoch: Epoch
  partition: Partition
  rows: DecodedRow[]
  dead: DeadLetter[]
}

/** Combines batches into one write request. The batches of one partition are contiguous and become one slice. */
export function toRequest(batches: readonly PlacedBatch[], userIdType: UserIdType): WriteRequest {
  const sorted = batches.toSorted((a, b) => a.partition.number - b.partition.number)
  const slices: Slice[] = []
  for (const { partition, from, to, last } of sorted) {
    const before = slices.at(-1)
    const isFurther = before?.partition === partition.number
    if (isFurther && before.to !== from)
      throw new InvariantError(
        `partition ${partition.number}: a batch that starts at offset ${from} follows one that ends at ${before.to}`,
      )
    if (isFurther) slices.pop()
    slices.push({
      partition: partition.number,
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
    userIdType,
  }
}

import { createHash } from 'node:crypto'
import { lastRecordIsAnother, lastRecordIsGone } from './offsets.ts'
import type { KafkaRecord } from '../../event/record/decoded.ts'
import type { RecordBatch } from '../record-source.ts'

/** What the worker knows of one partition that the group gave it. */
export interface PartitionState {
  partition: number
  /** sink_offsets.next_offset as last read or written by us. */
  next: bigint
  /** As `next`, once what waits to be written is. */
  queued: bigint
  /** Where reading stands: past `queued` when what came after it has expired, or was no record (EmptyRange). */
  read: bigint
  /** Records from `queued` on that expired before they were read; counted with the next write. */
  expired: number
  /** The record written last, which must be the first one read: else this is another topic (I9). */
  check: { offset: bigint; digest: Buffer } | null
  /** Up to here (exclusive) it may be read; below `highWatermark` while another producer's transaction is open. */
  lastStable: bigint
  /** The offset after the partition's last record. */
  highWatermark: bigint
  /** The write of its newest batch, while that waits or runs: whether it was stored. */
  writing: Promise<boolean> | undefined
  /** A gap before the next batch was confirmed by fetching from `read` again. */
  gapConfirmed: boolean
  /** Why nothing of this partition is read any more, in words for people. */
  stopped: string | undefined
}

/** What to do with a fetched batch. */
export type Placement =
  /** These records are next; empty when all of them were written before. */
  | { kind: 'take'; records: readonly KafkaRecord[] }
  /** Offsets are missing before the first record: expired, or transaction markers. */
  | { kind: 'gap'; first: bigint }
  /** The record to compare is not there. */
  | { kind: 'check_missing' }
  /** The record to compare is another one. */
  | { kind: 'other_topic' }
  /** Not what was asked for: read the offsets again. */
  | { kind: 'unexpected' }

/** Compares a batch with the partition's position. Pure. */
export function placeBatch(
  position: { next: bigint; check: PartitionState['check'] },
  batch: RecordBatch,
): Placement {
  const [first] = batch.records
  if (first === undefined) return { kind: 'unexpected' }
  const { check, next } = position
  if (check !== null) {
    if (first.offset > check.offset) return { kind: 'check_missing' }
    if (first.offset < check.offset) return { kind: 'unexpected' }
    if (!digestOf(first).equals(check.digest)) return { kind: 'other_topic' }
  } else if (first.offset < next) {
    return { kind: 'unexpected' } // kafkajs went back to the start: the offset that we asked for is not there
  }
  const records = batch.records.filter((record) => record.offset >= next)
  const head = records[0]
  if (head !== undefined && head.offset > next && check === null) return { kind: 'gap', first: head.offset }
  return { kind: 'take', records }
}

/** What is to be done with a batch, once Kafka was asked where the placement alone does not tell. */
export type Placed =
  /** `expired`: so many records before these are gone. */
  | { kind: 'take'; records: readonly KafkaRecord[]; expired: number }
  /** A gap is to be confirmed by fetching from `read` again. */
  | { kind: 'fetch_again' }
  /** Read the offsets again. */
  | { kind: 'start_over' }
  /** This is not the topic that was written before (I9). */
  | { kind: 'stop'; reason: string }

/** @throws what `lowWatermark` throws */
export async function place(
  { read, check, gapConfirmed }: Pick<PartitionState, 'read' | 'check' | 'gapConfirmed'>,
  batch: RecordBatch,
  lowWatermark: () => Promise<bigint>,
): Promise<Placed> {
  const placement = placeBatch({ next: read, check }, batch)
  switch (placement.kind) {
    case 'take':
      return { kind: 'take', records: placement.records, expired: 0 }
    case 'unexpected':
      return { kind: 'start_over' }
    case 'other_topic':
      return { kind: 'stop', reason: lastRecordIsAnother(check?.offset) }
    case 'check_missing': {
      const low = await lowWatermark()
      if (check !== null && low <= check.offset)
        return { kind: 'stop', reason: lastRecordIsGone(check.offset) }
      return await place({ read, check: null, gapConfirmed }, batch, lowWatermark)
    }
    case 'gap': {
      if (!gapConfirmed) return { kind: 'fetch_again' }
      // What is missing below the low watermark has expired; the rest of a gap are transaction markers.
      const low = await lowWatermark()
      const expired = (low < placement.first ? low : placement.first) - read
      return { kind: 'take', records: batch.records, expired: Math.max(0, Number(expired)) }
    }
  }
}

/** SHA-256 of a record's value: what sink_offsets.last_digest holds. */
export function digestOf(record: Pick<KafkaRecord, 'value'>): Buffer {
  return createHash('sha256')
    .update(record.value ?? '')
    .digest()
}

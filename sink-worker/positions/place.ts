import { createHash } from 'node:crypto'
import { lastRecordIsAnother, lastRecordIsGone } from './offsets.ts'
import type { KafkaRecord } from '../../event/record/decoded.ts'
import type { RecordBatch } from '../record-source.ts'

/** What a fetched batch is compared with. */
export interface ReadPosition {
  /** The next offset to read. */
  readonly read: bigint
  /** The last written record. It must be the first one read; otherwise this is another topic (I9). */
  readonly check: { readonly offset: bigint; readonly digest: Buffer } | null
  /** Whether a gap before the next batch was confirmed by fetching from `read` again. */
  readonly gapConfirmed: boolean
}

/** How a fetched batch relates to the partition's position. */
export type Placement =
  /** These records are next; empty if all of them were written before. */
  | { kind: 'take'; records: readonly KafkaRecord[] }
  /** Offsets are missing before the first record: expired, or transaction markers. */
  | { kind: 'gap'; first: bigint }
  /** The last written record is missing. */
  | { kind: 'check_missing' }
  /** The last written record has another digest. */
  | { kind: 'other_topic' }
  /** Not what was requested: read the offsets again. */
  | { kind: 'unexpected' }

/** Compares a batch with the partition's position. Pure. */
export function placeBatch(
  position: { next: bigint; check: ReadPosition['check'] },
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
    return { kind: 'unexpected' } // kafkajs reset to the start: the requested offset is out of range
  }
  const records = batch.records.filter((record) => record.offset >= next)
  const head = records[0]
  if (head !== undefined && head.offset > next && check === null) return { kind: 'gap', first: head.offset }
  return { kind: 'take', records }
}

/** What to do with a fetched batch. */
export type Placed =
  /** Store these records; `expired` is the number of records lost before them. */
  | { kind: 'take'; records: readonly KafkaRecord[]; expired: number }
  /** Confirm a gap by fetching from `read` again. */
  | { kind: 'fetch_again' }
  /** Read the offsets again. */
  | { kind: 'start_over' }
  /** This is not the topic that was written before (I9). */
  | { kind: 'stop'; reason: string }

/**
 * Decides what to do with a fetched batch.
 *
 * @param lowWatermark asks Kafka; called only if the batch alone does not decide
 * @throws what `lowWatermark` throws
 */
export async function place(
  { read, check, gapConfirmed }: ReadPosition,
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
      // Offsets below the low watermark have expired; the rest of the gap holds transaction markers.
      const low = await lowWatermark()
      const expired = (low < placement.first ? low : placement.first) - read
      return { kind: 'take', records: batch.records, expired: Math.max(0, Number(expired)) }
    }
  }
}

/** SHA-256 of a record's value, as stored in sink_offsets.last_digest. */
export function digestOf(record: Pick<KafkaRecord, 'value'>): Buffer {
  return createHash('sha256')
    .update(record.value ?? '')
    .digest()
}

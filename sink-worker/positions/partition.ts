import type { Watermarks } from '../../kafka/topic-ends.ts'
import type { KafkaRecord } from '../../event/record/decoded.ts'
import type { EmptyRange, RecordBatch } from '../record-source.ts'
import type { Start, StoredOffset } from './offsets.ts'
import { place, type Placed } from './place.ts'

/** The records of a batch, as a range of offsets to write. */
export interface Taken {
  /** The value that sink_offsets.next_offset must have before the transaction. */
  from: bigint
  /** The value that it gets. */
  to: bigint
  last: KafkaRecord
  /** Number of records before them that expired before they were read. */
  expired: number
}

/**
 * The positions of one assigned partition, and their only owner: offsets, of which `next`, `queued` and `read` never go
 * back. While the partition is read:
 *
 *     next <= queued <= read <= lastStable <= highWatermark
 *
 * - `next` is written: sink_offsets.next_offset as this worker last read or wrote it;
 * - up to `queued` batches wait for their transaction;
 * - up to `read` records were read, expired or never existed;
 * - up to `lastStable` records can be read; from there on, another producer's transaction is open.
 */
export class Partition {
  readonly number: number
  #next: bigint
  #queued: bigint
  #read: bigint
  #lastStable: bigint
  #highWatermark: bigint
  /** Number of records from `queued` on that expired before they were read; counted with the next write. */
  #expired: number
  /** See ReadPosition. */
  #check: { offset: bigint; digest: Buffer } | null
  #gapConfirmed = false
  /** The write of the newest batch while it is queued or running; resolves to whether it was stored. */
  #writing: Promise<boolean> | undefined
  /** Why the partition is no longer read, for people; undefined while it is read. */
  #stopped: string | undefined

  constructor(stored: StoredOffset, start: Start, kafka: Watermarks) {
    this.number = stored.partition
    this.#next = stored.nextOffset
    this.#queued = stored.nextOffset
    this.#read = kafka.low > stored.nextOffset ? kafka.low : stored.nextOffset
    this.#lastStable = kafka.lastStable
    this.#highWatermark = kafka.high
    this.#expired = Number(this.#read - stored.nextOffset)
    this.#check = start.kind === 'read' ? start.check : null
    this.#stopped = start.kind === 'stop' ? start.reason : undefined
  }

  get next(): bigint {
    return this.#next
  }

  get read(): bigint {
    return this.#read
  }

  /** The expired records that no transaction has counted yet, and where they begin. */
  get expired(): { from: bigint; count: number } {
    return { from: this.#queued, count: this.#expired }
  }

  get stopped(): string | undefined {
    return this.#stopped
  }

  /** Where fetching starts: at the last written record, if it is to be compared first. */
  get fetchFrom(): bigint {
    return this.#check?.offset ?? this.#read
  }

  /** Whether there is more to read. */
  get hasMore(): boolean {
    return this.#read < this.#lastStable
  }

  /** Whether there is more to read, and nothing is being written. */
  get isWaiting(): boolean {
    return this.hasMore && this.#writing === undefined
  }

  /** Whether everything that can be read has been stored. */
  get isCaughtUp(): boolean {
    return !this.hasMore && this.#writing === undefined
  }

  /** As /health shows it. */
  get status() {
    const done = this.#writing === undefined ? this.#read : this.#next
    const readable = this.#lastStable > done ? this.#lastStable : done
    return {
      partition: this.number,
      next_offset: Number(this.#next),
      lag: Math.max(0, Number(this.#highWatermark - done)),
      /** The part of the lag that another producer's open transaction keeps from being read. */
      held_back: Math.max(0, Number(this.#highWatermark - readable)),
      ...(this.#stopped === undefined ? {} : { stopped: this.#stopped }),
    }
  }

  /** The ends as a description of the topic or a fetch reports them. */
  updateEnds({ lastStable, high }: Omit<Watermarks, 'low'>): void {
    this.#lastStable = lastStable
    this.#highWatermark = high
  }

  /**
   * Decides what to do with a fetched batch; changes nothing.
   *
   * @param lowWatermark asks Kafka; called only if the batch alone does not decide
   * @throws what `lowWatermark` throws
   */
  async place(batch: RecordBatch, lowWatermark: () => Promise<bigint>): Promise<Placed> {
    const position = { read: this.#read, check: this.#check, gapConfirmed: this.#gapConfirmed }
    return await place(position, batch, lowWatermark)
  }

  /** A gap before the fetched batch is confirmed by fetching again. */
  confirmGap(): void {
    this.#check = null
    this.#gapConfirmed = true
  }

  /** Notes records that expired before they were read. */
  addExpired(count: number): void {
    this.#expired += count
  }

  /**
   * Moves past the records of a batch that was placed.
   *
   * @param endOffset of the batch
   * @returns what is to be written; undefined if all of it was written before
   */
  take(records: readonly KafkaRecord[], endOffset: bigint): Taken | undefined {
    this.#check = null
    if (endOffset > this.#read) this.#read = endOffset
    const last = records.at(-1)
    if (last === undefined) return undefined
    const taken = { from: this.#queued, to: this.#read, last, expired: this.#expired }
    this.#queued = this.#read
    this.#expired = 0
    this.#gapConfirmed = false
    return taken
  }

  /** Follows the write of what take() returned. It does not reject. */
  follow(writing: Promise<boolean>, { expired }: Taken): void {
    this.#writing = writing
    void writing.then((isStored) => {
      if (!isStored) this.#expired += expired // already logged, but not yet counted
      if (this.#writing === writing) this.#writing = undefined
    })
  }

  /**
   * Moves past offsets without records, if they are the next ones.
   *
   * @returns false while the last written record has yet to be compared: then they say nothing
   */
  skip({ from, to }: EmptyRange): boolean {
    if (this.#check !== null) return false
    if (from <= this.#read && to > this.#read) this.#read = to
    return true
  }

  /** A transaction has written up to `to`. */
  committed(to: bigint): void {
    this.#next = to
  }

  /** Reads no further (I9). */
  stop(reason: string): void {
    this.#stopped = reason
  }
}

import type { Watermarks } from '../kafka/topic-ends.ts'
import type { KafkaRecord } from '../event/record/decoded.ts'

/*
 * What the sink's core needs of a Kafka client. Membership of the group only says who works on what; correctness
 * lives in PostgreSQL. Implemented in kafka-record-source.ts.
 */

/** Records of one partition, as fetched at one time. */
export interface RecordBatch {
  partition: number
  /** Ascending offsets, gaps allowed; never empty. */
  records: readonly KafkaRecord[]
  /** The offset after the last one that this fetch covers: past trailing transaction markers, too. */
  endOffset: bigint
}

/** What became of a batch that was taken. */
export interface Taken {
  /** The next fetch begins here. */
  to: bigint
  /** Whether the partition is stored up to there: settles when it is written, or will not be. Never rejects. */
  stored: Promise<boolean>
}

/** Who works on the batches: worker.ts. No call throws. */
export interface SourceListener {
  /** The group gave us these partitions, all earlier positions are void. Called before anything of them is fetched. */
  assigned(partitions: readonly number[]): void
  /** We are no member any more; the source tries to join again. */
  lost(reason: Error): void
  /** The group is another topic's, so we are no member and have no partitions; the source asks again. */
  refused(reason: Error): void
  /** A fetch failed in a way that may mean another topic of the same name: all positions are to be checked again. */
  disturbed(): void
  /**
   * Takes one batch. While the promise is pending the client sends heartbeats and fetches nothing else of the same
   * broker.
   *
   * @returns undefined when the batch was not taken
   */
  batch(batch: RecordBatch): Promise<Taken | undefined>
  /** A fetch held no record: its offsets from `from` to before `to` are transaction markers and aborted records. */
  empty(range: EmptyRange): void
  /** How far a partition went at the time of a fetch, before what that fetch brought; also when it brought nothing. */
  ends(partition: number, ends: Omit<Watermarks, 'low'>): void
}

/** Offsets of a partition behind which there is nothing to store. */
export interface EmptyRange {
  partition: number
  from: bigint
  to: bigint
}

export interface RecordSource {
  /** Joins the group and delivers until stop(), through broker restarts and rebalances. */
  run(listener: SourceListener): Promise<void>
  /** The next fetch of this partition begins here; what was fetched before is not delivered. */
  seek(partition: number, offset: bigint): void
  /** Fetches these partitions and no others; heartbeats go on. */
  fetchOnly(partitions: readonly number[]): void
  /** Leaves the group. Call it when no batch is pending. */
  stop(): Promise<void>
}

/** The topic as the cluster describes it now. */
export interface TopicDescription {
  clusterId: string
  compacted: boolean
  partitions: ReadonlyMap<number, Watermarks>
}

export interface TopicInspector {
  /** Rejects while Kafka is out of reach or the topic does not exist. */
  describe(): Promise<TopicDescription>
  /** Creates the topic if it is missing; true when it was created now. */
  createIfMissing(): Promise<boolean>
}

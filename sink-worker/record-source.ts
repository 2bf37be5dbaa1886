import type { Watermarks } from '../kafka/topic-ends.ts'
import type { KafkaRecord } from '../event/record/decoded.ts'

/*
 * The port through which the sink reads from Kafka, implemented in kafka-record-source.ts. Group membership only assigns
 * work; correctness lives in PostgreSQL.
 */

/** Records of one partition from one fetch. */
export interface RecordBatch {
  partition: number
  /** In ascending order of offset, possibly with gaps; never empty. */
  records: readonly KafkaRecord[]
  /** The offset after the last one that this fetch covers, including trailing transaction markers. */
  endOffset: bigint
  /** Whether the records' times are Kafka's (LogAppendTime), and not their producers'. */
  isAppendTime: boolean
}

/** The result of a batch that the listener accepted. */
export interface AcceptedBatch {
  /** The next fetch starts here. */
  to: bigint
  /** Resolves to whether the partition is stored up to `to`, once that is decided. Never rejects. */
  stored: Promise<boolean>
}

/** Processes the batches: worker.ts. No call throws. */
export interface SourceListener {
  /** The group assigned these partitions; all earlier positions are invalid. Called before any of them is fetched. */
  onAssigned(partitions: readonly number[]): void
  /** The consumer has left the group or lost its membership; the source tries to join again. */
  onMembershipLost(reason: Error): void
  /** The group belongs to another topic, so the source did not join it and has no partitions; it tries again later. */
  onJoinRefused(reason: Error): void
  /** A fetch failed, so the topic may have been recreated under the same name: check all positions again. */
  onFetchFailed(): void
  /**
   * Accepts one batch. While the promise is pending, the client sends heartbeats and fetches nothing else from the same
   * broker.
   *
   * @returns undefined if the batch was not accepted
   */
  onBatch(batch: RecordBatch): Promise<AcceptedBatch | undefined>
  /** A fetch held no records: the offsets from `from` up to `to` (exclusive) are transaction markers and aborted records. */
  onEmptyRange(range: EmptyRange): void
  /** The ends of a partition at the time of a fetch, including one without records; called before its records arrive. */
  onWatermarks(partition: number, watermarks: Omit<Watermarks, 'low'>): void
}

/** Offsets of a partition without records to store. */
export interface EmptyRange {
  partition: number
  from: bigint
  to: bigint
}

export interface RecordSource {
  /** Joins the group and delivers batches until stop(), across broker restarts and rebalances. */
  run(listener: SourceListener): Promise<void>
  /** The next fetch of this partition starts here; records fetched earlier are not delivered. */
  seek(partition: number, offset: bigint): void
  /** Fetches only these partitions; heartbeats continue. */
  fetchOnly(partitions: readonly number[]): void
  /** Leaves the group. Call it only when no batch is pending. */
  stop(): Promise<void>
}

/** The current state of the topic. */
export interface TopicDescription {
  clusterId: string
  compacted: boolean
  partitions: ReadonlyMap<number, Watermarks>
}

export interface TopicInspector {
  /** @throws while Kafka cannot be reached or the topic does not exist */
  describe(): Promise<TopicDescription>
  /** Creates the topic if it is missing, and logs it. @returns whether it was created */
  createIfMissing(): Promise<boolean>
}

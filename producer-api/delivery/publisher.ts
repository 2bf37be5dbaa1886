/** The port between the batcher and Kafka. It does not depend on a client library. */
import type { Records } from '../../event/record/records.ts'

/** The result of sending the records of one request. */
export type Outcome =
  /** I1: Kafka has all of them on all in-sync replicas. */
  | { kind: 'accepted' }
  /** Kafka has none of them and will not receive any. */
  | { kind: 'not_accepted'; reason: NotAcceptedReason; cause?: Error }
  /** Kafka may have some or all of them. */
  | { kind: 'unknown'; cause?: Error }

export type NotAcceptedReason =
  | 'buffer_full'
  | 'shutting_down'
  | 'timeout'
  | 'too_large_for_kafka'
  | 'refused'

/** Where Kafka put the records of one send. */
export interface Published {
  /** The offset of the first one; the others follow without a gap. */
  baseOffset: bigint
}

/** Sends records to Kafka. */
export interface Publisher {
  /**
   * Connects in the background and keeps trying. `onAvailable` is called whenever partitions may have become
   * available.
   */
  connect(onAvailable: () => void): void
  /** Partitions that can accept a batch now; empty while Kafka is unreachable. Must be cheap: called before every send. */
  availablePartitions(): readonly number[]
  /**
   * Sends the records of several requests, in this order, to one partition.
   *
   * @throws {PublishError} and no other error, within a bounded time
   */
  publish(partition: number, requests: readonly Records[]): Promise<Published>
  /** Disconnects. Requests still in flight are abandoned after a short wait. */
  close(): Promise<void>
}

/** The batcher's source of time; tests replace it. */
export interface Clock {
  /** Monotonic milliseconds. */
  now(): number
  /** Calls `callback` once after `ms`. Returns a function that cancels it. */
  after(ms: number, callback: () => void): () => void
}

export const systemClock: Clock = {
  now: () => performance.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, ms)
    return () => clearTimeout(timer)
  },
}

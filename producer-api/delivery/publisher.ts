/** The contract between the buffer and Kafka, owned by the buffer: it knows of no client library. */
import type { Records } from '../../event/record/records.ts'

/** What became of a request's records. */
export type Outcome =
  /** I1: Kafka has all of them on all in-sync replicas. */
  | { kind: 'accepted' }
  /** Kafka has none of them and will get none. */
  | { kind: 'not_accepted'; reason: NotAcceptedReason; cause?: Error }
  /** Kafka may have some or all of them. */
  | { kind: 'unknown'; cause?: Error }

export type NotAcceptedReason =
  | 'buffer_full'
  | 'shutting_down'
  | 'timeout'
  | 'too_large_for_kafka'
  | 'refused'

/** Sends records to Kafka. */
export interface Publisher {
  /**
   * Starts in the background and keeps trying; `onAvailable` is called whenever partitions may have become
   * available.
   */
  connect(onAvailable: () => void): void
  /** Partitions that can take a batch now; [] while Kafka is out of reach. Cheap: asked before every send. */
  availablePartitions(): readonly number[]
  /**
   * One send to one partition: the records of some requests, in this order.
   *
   * @throws {PublishError} always this one, after a bounded time
   */
  publish(partition: number, requests: readonly Records[]): Promise<void>
  /** Disconnects; what is still in flight is given up after a short while. */
  close(): Promise<void>
}

/** Why a send failed, in the terms that decide what happens next. */
export class PublishError extends Error {
  /** Kafka's name for the error (`MESSAGE_TOO_LARGE`), the system's (`ECONNREFUSED`) or the client's. */
  readonly code: string
  /** Sending the same bytes again, to any partition, may help. */
  readonly retryable: boolean
  /** The records may be in Kafka although the send failed. */
  readonly mayHaveWritten: boolean
  /** The batch is over what the broker takes; smaller ones may pass. */
  readonly tooLarge: boolean

  constructor(
    message: string,
    facts: { code: string; retryable: boolean; mayHaveWritten: boolean; tooLarge?: boolean; cause?: unknown },
  ) {
    super(message, { cause: facts.cause })
    this.name = 'PublishError'
    this.code = facts.code
    this.retryable = facts.retryable
    this.mayHaveWritten = facts.mayHaveWritten
    this.tooLarge = facts.tooLarge ?? false
  }
}

/** Time as the buffer sees it, so that tests own it. */
export interface Clock {
  /** Milliseconds that never go back. */
  now(): number
  /** Calls `callback` once after `ms`; the result cancels it. */
  after(ms: number, callback: () => void): () => void
}

export const systemClock: Clock = {
  now: () => performance.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, ms)
    return () => clearTimeout(timer)
  },
}

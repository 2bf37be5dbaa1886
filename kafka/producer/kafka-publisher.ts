import type { ICustomPartitioner, Kafka, PartitionMetadata, Producer, RecordMetadata } from 'kafkajs'
import { kafkaErrorType, rootMessage } from '../errors.ts'
import { createTopicIfMissing, type TopicConfig } from '../topic.ts'
import { type Backoff, backoffMs } from '../../platform/backoff.ts'
import type { Logger } from '../../platform/log.ts'
import { PublishError } from '../../producer-api/errors.ts'
import { type Published, type Publisher } from '../../producer-api/delivery/publisher.ts'
import { prepareMessages, type PrepareSend } from './prepare-send.ts'
import { PartitionHealth } from './partition-health.ts'
import { classifySendError } from './publish-errors.ts'
import type { Records } from '../../event/record/records.ts'

/** After this time the broker answers REQUEST_TIMED_OUT. Less than the client's request timeout of 6 s. */
const BROKER_TIMEOUT_MS = 5_000
/** Finds new leaders if the host of the old one no longer responds; otherwise the error of a send reports the move. */
const METADATA_MAX_AGE_MS = 5_000
/** After this time without a response from Kafka, ready() starts a check. */
const STALE_MS = 5_000
const RETRY: Backoff = { firstMs: 200, lastMs: 2_000 }
const CLOSE_LIMIT_MS = 2_000
const LOWER_LIMITS = 'lower BATCH_MAX_BYTES, MAX_BODY_BYTES and MAX_EVENT_BYTES'
/** kafkajs drops a message for an unknown partition, which is then missing in its result. */
const NO_PARTITION = -1

/**
 * Sends to Kafka through kafkajs, to one topic-partition per send: with several, kafkajs can report success for records
 * that were lost (see its issue #1303).
 *
 * A short-lived admin connection checks whether Kafka is reachable: at the start, after failed sends, and repeatedly until
 * it answers. A permanent connection would take as much CPU time when idle as the producer itself.
 */
export class KafkaPublisher implements Publisher {
  readonly #kafka: Kafka
  readonly #topic: TopicConfig
  readonly #logger: Logger
  readonly #prepareSend: PrepareSend
  readonly #producer: Producer
  readonly #health: PartitionHealth
  #onAvailable: () => void = () => {}
  #reachable = false
  #reason = 'not connected to Kafka yet'
  #topicSeen = false
  #producerConnected = false
  #lastContact = 0
  #check: Promise<boolean> | undefined
  #retries = 0
  #retryTimer: NodeJS.Timeout | undefined
  #closed = false
  #knownMetadata: PartitionMetadata[] | undefined
  /** Time of the last log line for each error code. */
  readonly #failuresLogged = new Map<string, number>()

  constructor(kafka: Kafka, topic: TopicConfig, logger: Logger, prepareSend: PrepareSend = prepareMessages) {
    this.#kafka = kafka
    this.#prepareSend = prepareSend
    this.#topic = topic
    this.#logger = logger
    this.#health = new PartitionHealth(() => this.#onAvailable())
    this.#producer = kafka.producer({
      allowAutoTopicCreation: false,
      idempotent: false,
      metadataMaxAge: METADATA_MAX_AGE_MS,
      // One attempt per send: the error of a retry by kafkajs would hide the outcome of the first attempt.
      retry: { retries: 0 },
      createPartitioner: this.#partitioner(),
    })
  }

  connect(onAvailable: () => void): void {
    this.#onAvailable = onAvailable
    void this.#checkKafka()
  }

  availablePartitions(): readonly number[] {
    return this.#reachable ? this.#health.available() : []
  }

  /** Whether sends are expected to succeed. Starts a check in the background if Kafka has not responded for a while. */
  ready(): { ok: true } | { ok: false; reason: string } {
    if (!this.#reachable) return { ok: false, reason: this.#reason }
    if (performance.now() - this.#lastContact > STALE_MS) void this.#checkKafka()
    return { ok: true }
  }

  async publish(partition: number, requests: readonly Records[]): Promise<Published> {
    const { messages, mayBeWritten, end } = this.#prepareSend(partition, requests)
    let baseOffset: bigint
    try {
      const topic = this.#topic.name
      const answer = await this.#producer.send({ topic, acks: -1, timeout: BROKER_TIMEOUT_MS, messages })
      baseOffset = baseOffsetOf(answer, topic, partition, mayBeWritten())
    } catch (error) {
      const failure = classifySendError(error, mayBeWritten())
      this.#logFailure(partition, failure)
      if (failure.retryable) {
        this.#health.suspend(partition)
        void this.#checkKafka()
      }
      throw failure
    } finally {
      end()
    }
    this.#lastContact = performance.now()
    this.#health.succeeded(partition)
    return { baseOffset }
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#reachable = false
    this.#reason = 'shutting down'
    clearTimeout(this.#retryTimer)
    this.#health.close()
    // kafkajs waits for pending responses, which may never come from a broker that hangs.
    const limit = new Promise((resolve) => setTimeout(resolve, CLOSE_LIMIT_MS).unref())
    await Promise.race([this.#producer.disconnect(), limit])
  }

  /** Returns the partition set in each message, and learns the partition metadata that kafkajs currently has. */
  #partitioner(): ICustomPartitioner {
    return () =>
      ({ message, partitionMetadata }) => {
        if (partitionMetadata !== this.#knownMetadata) {
          this.#knownMetadata = partitionMetadata
          this.#health.learn(partitionMetadata)
        }
        return message.partition ?? NO_PARTITION
      }
  }

  /** Checks whether Kafka is reachable, with one check at a time. After a failure the check is repeated until it succeeds. */
  #checkKafka(): Promise<boolean> {
    this.#check ??= this.#runCheck().finally(() => {
      this.#check = undefined
    })
    return this.#check
  }

  async #runCheck(): Promise<boolean> {
    if (this.#closed) return false
    const startedAt = performance.now()
    try {
      const partitions = await this.#fetchPartitions()
      const leaders = partitions.filter((partition) => partition.leader >= 0)
      if (leaders.length === 0) throw new Error(`no partition of topic ${this.#topic.name} has a leader`)
      if (this.#closed) return false
      this.#lastContact = performance.now()
      this.#nowReachable(partitions)
      return true
    } catch (error) {
      // The check may have used a broker that is down while others accept records.
      if (this.#reachable && this.#lastContact > startedAt) return true
      this.#nowUnreachable(error)
      return false
    }
  }

  async #fetchPartitions(): Promise<PartitionMetadata[]> {
    if (!this.#topicSeen) await createTopicIfMissing(this.#kafka, this.#topic, this.#logger)
    this.#topicSeen = true
    const admin = this.#kafka.admin()
    try {
      await admin.connect()
      const { topics } = await admin.fetchTopicMetadata({ topics: [this.#topic.name] })
      if (!this.#producerConnected) await this.#producer.connect()
      this.#producerConnected = true
      return topics[0]?.partitions ?? []
    } finally {
      // Not awaited: if the broker hangs, it may take as long as the pending requests.
      admin.disconnect().catch(() => {})
    }
  }

  /** Logs one failure per second and code: in an outage every partition and every retry fails. */
  #logFailure(partition: number, { code, message, retryable, tooLarge }: PublishError): void {
    const now = performance.now()
    if (now - (this.#failuresLogged.get(code) ?? Number.NEGATIVE_INFINITY) < 1_000) return
    this.#failuresLogged.set(code, now)
    const remedy = tooLarge
      ? `: raise max.message.bytes of topic ${this.#topic.name}, or ${LOWER_LIMITS}`
      : ''
    this.#logger.warn({ partition, code, retryable }, `send to Kafka failed: ${message}${remedy}`)
  }

  #nowReachable(partitions: PartitionMetadata[]): void {
    this.#retries = 0
    this.#health.learn(partitions)
    if (this.#reachable) return
    this.#logger.info({ topic: this.#topic.name, partitions: partitions.length }, 'Kafka is reachable')
    this.#reachable = true
    this.#health.forgive()
    this.#onAvailable()
  }

  #nowUnreachable(error: unknown): void {
    if (this.#closed) return
    const deleted = this.#topicSeen && kafkaErrorType(error) === 'UNKNOWN_TOPIC_OR_PARTITION'
    const reason = deleted
      ? `topic ${this.#topic.name} was deleted and its records are lost; it is not created again automatically`
      : `Kafka is unreachable: ${rootMessage(error)}`
    if (this.#reachable || this.#reason !== reason) {
      this.#logger[deleted ? 'error' : 'warn']({ topic: this.#topic.name }, reason)
    }
    this.#reachable = false
    this.#reason = reason
    const wait = backoffMs(RETRY, this.#retries)
    this.#retries = Math.min(this.#retries + 1, 10)
    clearTimeout(this.#retryTimer)
    this.#retryTimer = setTimeout(() => void this.#checkKafka(), wait)
  }
}

/**
 * I1: checks the produce response, because kafkajs resolves with an empty one for an unknown partition.
 *
 * @throws {PublishError}
 */
function baseOffsetOf(
  answer: RecordMetadata[],
  topic: string,
  partition: number,
  mayBeWritten: boolean,
): bigint {
  const [only] = answer
  if (
    answer.length === 1 &&
    only?.topicName === topic &&
    only.partition === partition &&
    only.errorCode === 0 &&
    only.baseOffset !== undefined &&
    mayBeWritten
  )
    return BigInt(only.baseOffset)
  throw new PublishError(`the produce response is not for partition ${partition} alone`, {
    code: 'UNEXPECTED_PRODUCE_RESPONSE',
    retryable: true,
    mayHaveWritten: mayBeWritten,
    cause: answer,
  })
}

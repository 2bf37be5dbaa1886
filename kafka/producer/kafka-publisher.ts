import type { ICustomPartitioner, Kafka, PartitionMetadata, Producer, RecordMetadata } from 'kafkajs'
import { createTopicIfMissing, type TopicConfig } from '../client.ts'
import { kafkaErrorType, rootMessage } from '../errors.ts'
import { type Backoff, backoffMs } from '../../platform/backoff.ts'
import type { Logger } from '../../platform/log.ts'
import { type Publisher, PublishError } from '../../producer-api/delivery/publisher.ts'
import { asMessages, type HandOver } from './hand-over.ts'
import { PartitionHealth } from './partition-health.ts'
import { classifySendError } from './publish-errors.ts'
import type { Records } from '../../event/record/records.ts'

/** The broker answers within this or with REQUEST_TIMED_OUT; below the client's own limit for a request (6 s). */
const BROKER_TIMEOUT_MS = 5_000
/** Sends learn of moved leaders from their errors; this is for leaders whose host has gone silent. */
const METADATA_MAX_AGE_MS = 5_000
/** After this long without a word from Kafka, a question about readiness asks it. */
const STALE_MS = 5_000
const RETRY: Backoff = { firstMs: 200, lastMs: 2_000 }
const CLOSE_LIMIT_MS = 2_000
const LOWER_LIMITS = 'lower BATCH_MAX_BYTES, MAX_BODY_BYTES and MAX_EVENT_BYTES'
/** kafkajs drops a message for a partition that it does not know, and its answer lacks it. */
const NO_PARTITION = -1

/**
 * Sends to Kafka through kafkajs, one topic-partition per send: with several, kafkajs can report success for records
 * that it lost (notes in its issue #1303).
 *
 * Whether Kafka can be reached is found out by a short-lived admin connection: at the start, after failed sends, and
 * until it answers again. One that stayed open would cost as much CPU when idle as the producer itself.
 */
export class KafkaPublisher implements Publisher {
  readonly #kafka: Kafka
  readonly #topic: TopicConfig
  readonly #logger: Logger
  readonly #handOver: HandOver
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
  /** When a failure of each code was logged. */
  readonly #failuresLogged = new Map<string, number>()

  constructor(kafka: Kafka, topic: TopicConfig, logger: Logger, handOver: HandOver = asMessages) {
    this.#kafka = kafka
    this.#handOver = handOver
    this.#topic = topic
    this.#logger = logger
    this.#health = new PartitionHealth(() => this.#onAvailable())
    this.#producer = kafka.producer({
      allowAutoTopicCreation: false,
      idempotent: false,
      metadataMaxAge: METADATA_MAX_AGE_MS,
      // One attempt per send: what a later attempt of kafkajs throws would hide what happened to the first.
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

  /** Whether sends can be expected to work now; asks Kafka in the background when it has been silent. */
  ready(): { ok: true } | { ok: false; reason: string } {
    if (!this.#reachable) return { ok: false, reason: this.#reason }
    if (performance.now() - this.#lastContact > STALE_MS) void this.#checkKafka()
    return { ok: true }
  }

  async publish(partition: number, requests: readonly Records[]): Promise<void> {
    const { messages, mayBeWritten, end } = this.#handOver(partition, requests)
    try {
      const topic = this.#topic.name
      const answer = await this.#producer.send({ topic, acks: -1, timeout: BROKER_TIMEOUT_MS, messages })
      checkAnswer(answer, topic, partition, mayBeWritten())
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
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#reachable = false
    this.#reason = 'shutting down'
    clearTimeout(this.#retryTimer)
    this.#health.close()
    // A broker that hangs would keep kafkajs waiting for its answers.
    const limit = new Promise((resolve) => setTimeout(resolve, CLOSE_LIMIT_MS).unref())
    await Promise.race([this.#producer.disconnect(), limit])
  }

  /** Hands on the partition that each message names, and reads the metadata that kafkajs has just now. */
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

  /** One question at a time, whoever asks. Goes on asking until Kafka answers. */
  #checkKafka(): Promise<boolean> {
    this.#check ??= this.#askKafka().finally(() => {
      this.#check = undefined
    })
    return this.#check
  }

  async #askKafka(): Promise<boolean> {
    if (this.#closed) return false
    const askedAt = performance.now()
    try {
      const partitions = await this.#reach()
      const leaders = partitions.filter((partition) => partition.leader >= 0)
      if (leaders.length === 0) throw new Error(`no partition of topic ${this.#topic.name} has a leader`)
      if (this.#closed) return false
      this.#lastContact = performance.now()
      this.#nowReachable(partitions)
      return true
    } catch (error) {
      // The question may have gone to a broker that is down while others take records.
      if (this.#reachable && this.#lastContact > askedAt) return true
      this.#nowUnreachable(error)
      return false
    }
  }

  async #reach(): Promise<PartitionMetadata[]> {
    if (!this.#topicSeen && (await createTopicIfMissing(this.#kafka, this.#topic))) {
      this.#logger.info({ topic: this.#topic.name, partitions: this.#topic.partitions }, 'topic created')
    }
    this.#topicSeen = true
    const admin = this.#kafka.admin()
    try {
      await admin.connect()
      const { topics } = await admin.fetchTopicMetadata({ topics: [this.#topic.name] })
      if (!this.#producerConnected) await this.#producer.connect()
      this.#producerConnected = true
      return topics[0]?.partitions ?? []
    } finally {
      // Not awaited: with a broker that hangs it may take as long as the requests before it.
      admin.disconnect().catch(() => {})
    }
  }

  /** One a second of each code: in an outage there is one for every partition, and again for every retry. */
  #logFailure(partition: number, { code, message, retryable, tooLarge }: PublishError): void {
    const now = performance.now()
    if (now - (this.#failuresLogged.get(code) ?? Number.NEGATIVE_INFINITY) < 1_000) return
    this.#failuresLogged.set(code, now)
    const mend = tooLarge ? `: raise max.message.bytes of topic ${this.#topic.name}, or ${LOWER_LIMITS}` : ''
    this.#logger.warn({ partition, code, retryable }, `send to Kafka failed: ${message}${mend}`)
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
      ? `topic ${this.#topic.name} is gone: it was deleted, and is not made again because its records are lost`
      : `Kafka is out of reach: ${rootMessage(error)}`
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

/** I1: kafkajs resolves with an empty answer for a partition that it does not know. */
function checkAnswer(
  answer: RecordMetadata[],
  topic: string,
  partition: number,
  mayBeWritten: boolean,
): void {
  const [only] = answer
  if (
    answer.length === 1 &&
    only?.topicName === topic &&
    only.partition === partition &&
    only.errorCode === 0 &&
    mayBeWritten
  )
    return
  throw new PublishError(`the produce response is not for partition ${partition} alone`, {
    code: 'UNEXPECTED_PRODUCE_RESPONSE',
    retryable: true,
    mayHaveWritten: mayBeWritten,
    cause: answer,
  })
}

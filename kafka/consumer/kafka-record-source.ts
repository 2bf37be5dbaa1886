import { OtherTopicError } from '../errors.ts'
import type { Cluster, Consumer, ConsumerEndBatchProcessEvent, EachBatchPayload, IHeaders } from 'kafkajs'
import { toGroupDescription } from '../group-description.ts'
import { createKafka, type KafkaConnection } from '../client.ts'
import { isAppendTime, NO_HEADERS, onFetched } from '../patches.ts'
import { type Backoff, backoffMs } from '../../platform/backoff.ts'
import type { Logger } from '../../platform/log.ts'
import { sleep } from '../../platform/sleep.ts'
import { subscribersOnly } from './assigner.ts'
import {
  type DescribeGroup,
  explainFailure,
  type GroupStatus,
  GroupWatch,
  isLoadingGroups,
} from './group-watch.ts'
import type {
  EmptyRange,
  RecordBatch,
  RecordSource,
  SourceListener,
} from '../../sink-worker/record-source.ts'
import type { KafkaRecord } from '../../event/record/decoded.ts'

export interface ConsumerOptions {
  connection: KafkaConnection
  topic: string
  groupId: string
  /** How long the partitions of a failed worker wait for a new owner. */
  sessionTimeoutMs: number
  /** A fetch waits for this many bytes, up to maxWaitMs: larger batches take less work per event. */
  minBytes: number
  maxWaitMs: number
  /** I7: limit of one fetch, and therefore of the data held for one broker. */
  maxBytes: number
}

/** The offset committed to Kafka is only a hint for monitoring tools, and may lag by this much. */
const HINT_INTERVAL_MS = 1_000
const LAST_HINT_LIMIT_MS = 1_000
const LEAVE_LIMIT_MS = 3_000
/** For this time after the start, a Kafka that is still starting, too, is no failure. */
const LOADING_LIMIT_MS = 10_000
/** Backoff after a consumer failed, or must not join the group. */
const REJOIN: Backoff = { firstMs: 100, lastMs: 5_000 }
/** Partitions of a fetch that are delivered together, for one transaction; further ones wait for the next. */
const CONCURRENT_PARTITIONS = 64

/**
 * Implements RecordSource with a kafkajs consumer. The restart of kafkajs after a crash is disabled: any failure is
 * handled by creating a new consumer.
 */
export class KafkaRecordSource implements RecordSource {
  readonly #options: ConsumerOptions
  readonly #logger: Logger
  readonly #group: GroupWatch
  #consumer: Consumer | undefined
  #assigned: readonly number[] = []
  #hints = new Map<number, bigint>()
  #commitHints: (() => Promise<void>) | undefined
  #stopping = false
  /** Consumers that failed since the last batch was stored. */
  #failures = 0
  #stopped: () => void = () => {}

  constructor(options: ConsumerOptions, logger: Logger) {
    this.#options = options
    this.#logger = logger
    this.#group = new GroupWatch(options.groupId, options.topic, logger)
  }

  /** The last known state of the consumer group. */
  get group(): GroupStatus {
    return this.#group.status
  }

  async run(listener: SourceListener): Promise<void> {
    const stopped = new Promise<void>((resolve) => {
      this.#stopped = resolve
    })
    const startedMs = performance.now()
    for (; !this.#stopping; this.#failures++) {
      const { consumer, describeGroup } = this.#createConsumer()
      const otherLeader = Promise.withResolvers<OtherTopicError>()
      const crash = new Promise<Error>((resolve) => {
        consumer.on(consumer.events.CRASH, ({ payload }) => resolve(payload.error))
      })
      consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
        this.#hints.clear()
        this.#assigned = (payload.memberAssignment[this.#options.topic] ?? []).toSorted((a, b) => a - b)
        listener.onAssigned(this.#assigned)
        this.#group.afterJoin(describeGroup, payload.leaderId, otherLeader.resolve)
      })
      // From now on pause() and seek() of kafkajs throw. CRASH is emitted only after it has disconnected.
      consumer.on(consumer.events.STOP, () => {
        if (this.#consumer === consumer) this.#consumer = undefined
      })
      // eachBatch is not called for a fetch without records.
      consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload }) => {
        if (payload.batchSize === 0 && payload.firstOffset !== null)
          listener.onEmptyRange(toEmptyRange(payload))
      })
      watchFetches(consumer, listener)
      const stopEnds = onFetched(({ topic, partition, lastStable, high }) => {
        if (topic === this.#options.topic) listener.onWatermarks(partition, { lastStable, high })
      })
      let failure: Error | void
      try {
        await consumer.connect()
        await consumer.subscribe({ topics: [this.#options.topic], fromBeginning: true })
        await this.#group.beforeJoin(describeGroup)
        if (this.#stopping) throw new Error('stopping')
        this.#consumer = consumer
        await consumer.run({
          autoCommit: false,
          eachBatchAutoResolve: false,
          partitionsConsumedConcurrently: CONCURRENT_PARTITIONS,
          eachBatch: async (payload) => await this.#eachBatch(payload, listener),
        })
        failure = await Promise.race([crash, stopped, otherLeader.promise])
      } catch (error) {
        failure = error as Error
      }
      this.#group.stop()
      await leave(consumer)
      stopEnds()
      this.#consumer = undefined
      if (this.#stopping) return
      if (failure instanceof OtherTopicError) listener.onJoinRefused(failure)
      else if (
        failure !== undefined &&
        isLoadingGroups(failure) &&
        performance.now() - startedMs < LOADING_LIMIT_MS
      ) {
        this.#logger.info('Kafka is still loading its consumer groups; trying again')
      } else {
        const reason = explainFailure(failure ?? new Error('the Kafka consumer ended'), this.#options.groupId)
        listener.onMembershipLost(reason)
        this.#logger.warn({ error: reason.message }, 'the Kafka consumer failed; starting a new one')
      }
      await Promise.race([sleep(backoffMs(REJOIN, this.#failures)), stopped])
    }
  }

  seek(partition: number, offset: bigint): void {
    this.#consumer?.seek({ topic: this.#options.topic, partition, offset: offset.toString() })
  }

  fetchOnly(partitions: readonly number[]): void {
    const { topic } = this.#options
    const others = this.#assigned.filter((partition) => !partitions.includes(partition))
    if (others.length > 0) this.#consumer?.pause([{ topic, partitions: others }])
    if (partitions.length > 0) this.#consumer?.resume([{ topic, partitions: [...partitions] }])
  }

  async stop(): Promise<void> {
    this.#stopping = true
    this.#group.stop()
    await Promise.race([this.#commitHints?.(), sleep(LAST_HINT_LIMIT_MS)])
    if (this.#consumer !== undefined) await leave(this.#consumer)
    this.#stopped()
  }

  #createConsumer(): { consumer: Consumer; describeGroup: DescribeGroup } {
    const kafka = createKafka(this.#options.connection, 'firehose-sink', this.#logger)
    let cluster: Cluster | undefined
    const consumer = kafka.consumer({
      groupId: this.#options.groupId,
      sessionTimeout: this.#options.sessionTimeoutMs,
      heartbeatInterval: Math.floor(this.#options.sessionTimeoutMs / 4),
      rebalanceTimeout: 60_000,
      minBytes: this.#options.minBytes,
      maxWaitTimeInMs: this.#options.maxWaitMs,
      maxBytes: this.#options.maxBytes,
      maxBytesPerPartition: Math.min(1024 * 1024, this.#options.maxBytes),
      allowAutoTopicCreation: false,
      metadataMaxAge: 10_000, // delay until added partitions are found
      retry: { retries: 3, initialRetryTime: 200, maxRetryTime: 2_000, restartOnFailure: async () => false },
      partitionAssigners: [
        (config) => {
          cluster = config.cluster // the only access to the partitions known to kafkajs
          return subscribersOnly(config)
        },
      ],
    })
    const describeGroup: DescribeGroup = async () => ({
      group: toGroupDescription(await consumer.describeGroup()),
      partitions:
        cluster?.findTopicPartitionMetadata(this.#options.topic).map(({ partitionId }) => partitionId) ?? [],
    })
    return { consumer, describeGroup }
  }

  /** Only rethrows errors of kafkajs: any other error would crash the consumer. */
  async #eachBatch(payload: EachBatchPayload, listener: SourceListener): Promise<void> {
    if (payload.isStale()) return // fetched before a seek
    let lostMembership: unknown
    const heartbeat = setInterval(() => {
      payload.heartbeat().then(
        () => {
          lostMembership = undefined
        },
        (error: unknown) => {
          lostMembership = error
        },
      )
    }, this.#options.sessionTimeoutMs / 10)
    try {
      const accepted = await listener.onBatch(toRecordBatch(payload))
      if (accepted === undefined) return
      payload.resolveOffset((accepted.to - 1n).toString())
      void accepted.stored.then((isStored) => {
        if (isStored) this.#hint(payload, accepted.to)
      })
      // Let a rebalance wait for the write, or the next owner of the partition would conflict with it at the fence.
      await payload.heartbeat().catch((error: unknown) => (lostMembership = error))
      if (lostMembership !== undefined) await accepted.stored
    } finally {
      clearInterval(heartbeat)
    }
    if (lostMembership !== undefined) throw lostMembership
  }

  #hint(payload: EachBatchPayload, stored: bigint): void {
    this.#failures = 0
    this.#hints.set(payload.batch.partition, stored)
    if (this.#commitHints !== undefined) return
    const commit = async (): Promise<void> => {
      clearTimeout(timer)
      this.#commitHints = undefined
      const partitions = [...this.#hints].map(([partition, offset]) => ({
        partition,
        offset: offset.toString(),
      }))
      this.#hints.clear()
      try {
        await payload.commitOffsetsIfNecessary({ topics: [{ topic: this.#options.topic, partitions }] })
      } catch (error) {
        // Harmless: nothing depends on the hint.
        this.#logger.debug({ error: String(error) }, 'the offset hint was not committed')
      }
    }
    const timer = setTimeout(() => void commit(), HINT_INTERVAL_MS)
    this.#commitHints = commit
  }
}

/**
 * Detects failed fetches: they have a FETCH_START event, but no FETCH event. If Kafka refuses a fetch because the topic
 * does not exist, and the topic is then created again, kafkajs continues at its old offset without rejoining the group.
 */
function watchFetches(consumer: Consumer, listener: SourceListener): void {
  const running = new Set<number>()
  consumer.on(consumer.events.FETCH_START, ({ payload: { nodeId } }) => {
    if (running.has(nodeId)) listener.onFetchFailed()
    running.add(nodeId)
  })
  consumer.on(consumer.events.FETCH, ({ payload: { nodeId } }) => running.delete(nodeId))
}

function toRecordBatch({ batch }: EachBatchPayload): RecordBatch {
  const { partition } = batch
  const records = batch.messages.map(
    (message): KafkaRecord => ({
      partition,
      offset: BigInt(message.offset),
      timestampMs: Number(message.timestamp),
      value: message.value,
      headers: flatHeaders(message.headers ?? NO_HEADERS),
    }),
  )
  return {
    partition,
    records,
    endOffset: BigInt(batch.lastOffset()) + 1n,
    isAppendTime: isAppendTime(batch.messages.at(-1)),
  }
}

function toEmptyRange(payload: ConsumerEndBatchProcessEvent['payload']): EmptyRange {
  return {
    partition: payload.partition,
    from: BigInt(payload.firstOffset),
    to: BigInt(payload.lastOffset) + 1n,
  }
}

/** A repeated header keeps its last value. */
function flatHeaders(headers: IHeaders): Record<string, Buffer> {
  if (headers === NO_HEADERS) return NO_HEADERS
  const flat: Record<string, Buffer> = Object.create(null) // header names may be anything, even "__proto__"
  for (const [name, value] of Object.entries(headers)) {
    const last = Array.isArray(value) ? value.at(-1) : value
    if (last !== undefined && last !== null) flat[name] = Buffer.from(last)
  }
  return flat
}

/** Leaves the group, which would otherwise wait for the session timeout. Limited in time, as Kafka may be down. */
async function leave(consumer: Consumer): Promise<void> {
  await Promise.race([consumer.disconnect().catch(() => {}), sleep(LEAVE_LIMIT_MS)])
}

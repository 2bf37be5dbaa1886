import kafkajs, { type Broker, type Cluster, type Consumer } from 'kafkajs'
import type { Logger } from '../platform/log.ts'
import { createKafka, type KafkaConnection } from './client.ts'
import { type FetchedMessage, isAppendTime } from './patches.ts'
import type { TopicRecord } from './topic-reader.ts'

export interface TailedRecord extends TopicRecord {
  /** Whether its time is that at which Kafka appended it. */
  isAppendTime: boolean
}

/** What one round of fetches brought. */
export interface Tailed {
  records: TailedRecord[]
  /** Errors of fetches; the next round tries again at the same offsets. */
  failures: unknown[]
}

/** What is used of the answer to Broker.fetch(), which kafkajs does not describe. */
interface FetchAnswer {
  responses: {
    partitions: {
      partition: number
      messages: (FetchedMessage & { value: Buffer | null; timestamp: string })[]
    }[]
  }[]
}

const MAX_BYTES = 8 * 1024 * 1024
/** How long a broker waits for a first record. */
const MAX_WAIT_MS = 250
/** How soon a new partition is found. */
const METADATA_MAX_AGE_MS = 10_000

/**
 * Reads all partitions of a topic by offset, as records arrive, without a consumer group. A consumer of kafkajs can read
 * only as a member of a group, so this one never runs and joins none: its assigner is given the cluster, which finds the
 * brokers to fetch from. Like the sink, it reads only what is committed.
 */
export class TopicTail {
  readonly #topic: string
  /** The next offset of each partition. */
  readonly #next: Map<number, bigint>
  readonly #consumer: Consumer
  readonly #cluster: Cluster

  /** @param from the first offset of each partition; a partition that is added later is read from its beginning */
  constructor(
    connection: KafkaConnection,
    topic: string,
    from: ReadonlyMap<number, bigint>,
    clientId: string,
    logger: Logger,
  ) {
    this.#topic = topic
    this.#next = new Map(from)
    let cluster: Cluster | undefined
    this.#consumer = createKafka(connection, clientId, logger).consumer({
      groupId: clientId, // required, but never used
      allowAutoTopicCreation: false,
      metadataMaxAge: METADATA_MAX_AGE_MS,
      partitionAssigners: [
        (config) => {
          cluster = config.cluster
          return kafkajs.PartitionAssigners.roundRobin(config)
        },
      ],
    })
    if (cluster === undefined) throw new Error('kafkajs created no assigner')
    this.#cluster = cluster
  }

  /** @throws Kafka is unreachable, or the topic does not exist */
  async connect(): Promise<void> {
    await this.#consumer.connect()
    await this.#cluster.addTargetTopic(this.#topic)
  }

  async close(): Promise<void> {
    await this.#consumer.disconnect()
  }

  /** Waits a moment for records: one fetch from each broker that leads partitions. Calls must not overlap. */
  async read(): Promise<Tailed> {
    const tailed: Tailed = { records: [], failures: [] }
    try {
      await this.#cluster.refreshMetadataIfNecessary()
      const partitions = this.#cluster.findTopicPartitionMetadata(this.#topic).map((each) => each.partitionId)
      const leaders = Object.entries(this.#cluster.findLeaderForPartitions(this.#topic, partitions))
      const fetches = leaders.map(async ([nodeId, led]) => await this.#fetch(nodeId, led, tailed.records))
      for (const result of await Promise.allSettled(fetches)) {
        if (result.status === 'rejected') tailed.failures.push(result.reason)
      }
    } catch (error) {
      tailed.failures.push(error)
    }
    for (const error of tailed.failures) await this.#recover(error)
    return tailed
  }

  async #fetch(nodeId: string, partitions: readonly number[], records: TailedRecord[]): Promise<void> {
    const broker: Broker = await this.#cluster.findBroker({ nodeId })
    const answer = (await broker.fetch({
      maxWaitTime: MAX_WAIT_MS,
      maxBytes: MAX_BYTES,
      topics: [
        {
          topic: this.#topic,
          partitions: partitions.map((partition) => ({
            partition,
            fetchOffset: String(this.#next.get(partition) ?? 0n),
            maxBytes: MAX_BYTES / 8,
          })),
        },
      ],
    })) as FetchAnswer
    for (const { partition, messages } of answer.responses.flatMap((each) => each.partitions)) {
      for (const message of messages) {
        const { offset, isControlRecord, value, timestamp } = message
        const at = BigInt(offset)
        // A fetch returns whole batches, which may begin before the offset.
        if (at < (this.#next.get(partition) ?? 0n)) continue
        this.#next.set(partition, at + 1n)
        if (isControlRecord) continue // a marker, or an aborted record: patches.ts
        records.push({
          partition,
          offset: at,
          value,
          timestampMs: Number(timestamp),
          isAppendTime: isAppendTime(message),
        })
      }
    }
  }

  /** Does what a consumer of kafkajs would do before it fetches again. Never rejects. */
  async #recover(error: unknown): Promise<void> {
    const { name, host, port, partition } = error as {
      name?: string
      host?: string
      port?: number
      partition?: number
    }
    try {
      if (name === 'KafkaJSConnectionClosedError' && host !== undefined && port !== undefined) {
        this.#cluster.removeBroker({ host, port })
      }
      // The records have expired, or the topic was created again.
      if (name === 'KafkaJSOffsetOutOfRange' && partition !== undefined) {
        const topics = [{ topic: this.#topic, partitions: [{ partition }], fromBeginning: true }]
        const [first] = (await this.#cluster.fetchTopicsOffset(topics))[0]?.partitions ?? []
        if (first !== undefined) this.#next.set(partition, BigInt(first.offset))
      }
      await this.#cluster.refreshMetadata()
    } catch {
      // The next round reports it.
    }
  }
}

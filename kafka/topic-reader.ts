import { randomUUID } from 'node:crypto'
import { type Consumer, type EachBatchPayload, Kafka, logLevel } from 'kafkajs'
import { connectionOptions, type KafkaConnection } from './client.ts'
import { describeCluster } from './cluster-id.ts'
import { toGroupDescription } from './group-description.ts'
import type { GroupDescription } from './group-members.ts'
import { fetchTopicEnds, type Watermarks } from './topic-ends.ts'

/** How to connect. */
export type KafkaAccess = Pick<KafkaConnection, 'brokers'> & Partial<KafkaConnection>

export interface PartitionEnds extends Watermarks {
  partition: number
}

/** The offsets to read of a partition: `[low, high)`. */
export type ReadRange = Pick<PartitionEnds, 'partition' | 'low' | 'high'>

export interface TopicRecord {
  partition: number
  offset: bigint
  value: Buffer | null
  /** The record's timestamp in Kafka, milliseconds since 1970. */
  timestampMs: number
}

/** A range `[from, to)` that could not be read in time. */
export interface Unread {
  partition: number
  from: bigint
  to: bigint
}

const FETCH_BYTES = 8 * 1024 * 1024
const SESSION_TIMEOUT_MS = 60_000
const HEARTBEAT_MS = 3_000

export interface ReadOptions {
  /** Called with records of one partition. Nothing more is read until the promise resolves. */
  onRecords: (records: TopicRecord[]) => Promise<void>
  /** Reading stops after this time without progress: an open transaction holds back everything after it. */
  stuckMs: number
  /** Aborts reading. */
  signal?: AbortSignal
}

function connect(access: KafkaAccess): Kafka {
  return new Kafka({ ...connectionOptions(access), clientId: 'firehose-verify', logLevel: logLevel.NOTHING })
}

/**
 * Fetches the cluster id and the offset range of each partition.
 *
 * @throws the topic does not exist, or Kafka is unreachable
 */
export async function describeTopic(
  access: KafkaAccess,
  topic: string,
): Promise<{ clusterId: string; partitions: PartitionEnds[] }> {
  const admin = connect(access).admin()
  await admin.connect()
  try {
    // Listed first: some clusters create a topic when another request names it.
    if (!(await admin.listTopics()).includes(topic)) throw new Error(`Kafka has no topic "${topic}".`)
    const [{ clusterId }, ends] = await Promise.all([describeCluster(admin), fetchTopicEnds(admin, topic)])
    const partitions = [...ends].map(([partition, watermarks]) => ({ partition, ...watermarks }))
    return { clusterId, partitions: partitions.toSorted((a, b) => a.partition - b.partition) }
  } finally {
    await admin.disconnect()
  }
}

/** @throws Kafka is unreachable, or refuses to describe the group */
export async function describeGroup(access: KafkaAccess, groupId: string): Promise<GroupDescription> {
  const admin = connect(access).admin()
  await admin.connect()
  try {
    return toGroupDescription((await admin.describeGroups([groupId])).groups[0])
  } finally {
    await admin.disconnect()
  }
}

/**
 * Reads every committed record in the given ranges once, in order within each partition. Creates a consumer group that
 * commits nothing, and deletes it afterwards.
 *
 * @returns the ranges that were not read
 * @throws errors of `onRecords`, the reason of the signal, and permanent Kafka errors
 */
export async function readTopic(
  access: KafkaAccess,
  topic: string,
  partitions: readonly ReadRange[],
  options: ReadOptions,
): Promise<Unread[]> {
  const reading = new Reading(topic, partitions, options)
  if (reading.isDone) return []
  const groupId = `firehose-verify-${randomUUID()}`
  const kafka = connect(access)
  const consumer = kafka.consumer({
    groupId,
    allowAutoTopicCreation: false,
    sessionTimeout: SESSION_TIMEOUT_MS,
    heartbeatInterval: HEARTBEAT_MS,
    maxBytes: FETCH_BYTES,
    maxBytesPerPartition: FETCH_BYTES / 8,
    maxWaitTimeInMs: 250,
  })
  try {
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: true })
    return await reading.run(consumer)
  } finally {
    await consumer.disconnect()
    await deleteGroup(kafka, groupId)
  }
}

class Reading {
  readonly #topic: string
  readonly #options: ReadOptions
  readonly #ends: Map<number, bigint>
  /** The next offset of each partition that has not been read to its end. */
  readonly #positions: Map<number, bigint>
  readonly #finished = Promise.withResolvers<void>()
  #lastProgressMs = performance.now()
  #busy = false

  constructor(topic: string, partitions: readonly ReadRange[], options: ReadOptions) {
    this.#topic = topic
    this.#options = options
    const withRecords = partitions.filter(({ low, high }) => low < high)
    this.#ends = new Map(withRecords.map(({ partition, high }) => [partition, high]))
    this.#positions = new Map(withRecords.map(({ partition, low }) => [partition, low]))
  }

  get isDone(): boolean {
    return this.#positions.size === 0
  }

  async run(consumer: Consumer): Promise<Unread[]> {
    const { stuckMs, signal } = this.#options
    // The group has no committed offsets, so seek after each join.
    consumer.on(consumer.events.GROUP_JOIN, () => {
      for (const [partition, offset] of this.#positions) {
        consumer.seek({ topic: this.#topic, partition, offset: offset.toString() })
      }
    })
    consumer.on(consumer.events.CRASH, ({ payload }) => {
      if (!payload.restart) this.#finished.reject(payload.error)
    })
    // Unlike eachBatch, this event is also emitted for a fetch that contains only markers or aborted records.
    consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload }) => {
      this.#advance(payload.partition, BigInt(payload.lastOffset) + 1n)
      if (!this.#positions.has(payload.partition)) {
        consumer.pause([{ topic: this.#topic, partitions: [payload.partition] }])
      }
    })
    await consumer.run({ autoCommit: false, eachBatch: (payload) => this.#onBatch(payload) })
    const watch = setInterval(() => {
      if (signal?.aborted) this.#finished.reject(signal.reason)
      if (!this.#busy && performance.now() - this.#lastProgressMs > stuckMs) this.#finished.resolve()
    }, 250)
    try {
      await this.#finished.promise
    } finally {
      clearInterval(watch)
    }
    return [...this.#positions].map(([partition, from]) => ({
      partition,
      from,
      to: this.#ends.get(partition) ?? from,
    }))
  }

  async #onBatch(payload: EachBatchPayload): Promise<void> {
    const { partition, messages } = payload.batch
    const from = this.#positions.get(partition)
    const to = this.#ends.get(partition)
    if (from === undefined || to === undefined) return
    const records: TopicRecord[] = []
    for (const { offset, value, timestamp } of messages) {
      const at = BigInt(offset)
      // A fetch that was in flight during a rejoin may return records that were already read.
      if (at >= from && at < to)
        records.push({ partition, offset: at, value, timestampMs: Number(timestamp) })
    }
    this.#busy = true
    // Keeps the membership if onRecords is slow. kafkajs repeats a failed heartbeat after the batch.
    const heartbeat = setInterval(() => void payload.heartbeat().catch(() => {}), HEARTBEAT_MS)
    try {
      if (records.length > 0) await this.#options.onRecords(records)
    } catch (error) {
      // If this threw, kafkajs would retry the batch; report the error to the caller instead.
      this.#finished.reject(error)
      return
    } finally {
      clearInterval(heartbeat)
      this.#busy = false
      this.#lastProgressMs = performance.now()
    }
    await payload.heartbeat()
  }

  #advance(partition: number, next: bigint): void {
    const at = this.#positions.get(partition)
    if (at === undefined || next <= at) return
    this.#lastProgressMs = performance.now()
    if (next >= (this.#ends.get(partition) ?? 0n)) this.#positions.delete(partition)
    else this.#positions.set(partition, next)
    if (this.isDone) this.#finished.resolve()
  }
}

/** Best effort: Kafka also removes empty groups itself. */
async function deleteGroup(kafka: Kafka, groupId: string): Promise<void> {
  const admin = kafka.admin()
  try {
    await admin.connect()
    await admin.deleteGroups([groupId])
  } catch {
    // See above.
  } finally {
    await admin.disconnect()
  }
}

import { randomUUID } from 'node:crypto'
import type { Consumer, Kafka, KafkaMessage } from 'kafkajs'
import { createKafka, type KafkaConnection } from './client.ts'
import type { Logger } from '../platform/log.ts'

export interface SingleRecord {
  value: Buffer | null
  /** The record's timestamp in Kafka, milliseconds since 1970. */
  timestampMs: number
}

interface Wanted {
  offset: bigint
  done: (record: SingleRecord | undefined) => void
  fail: (error: Error) => void
}

/** If Kafka delivers nothing within this time, the read fails. */
const READ_LIMIT_MS = 15_000
const JOIN_LIMIT_MS = 30_000
/** How long kafkajs sleeps while all partitions are paused: the longest delay before a new read starts. */
const IDLE_MS = 250

/**
 * Reads single records by partition and offset. kafkajs can read only as a member of a group, so a group is created for
 * the first read and deleted by close(). Nothing is committed. After a failure the next read uses a new consumer and a new
 * group, because Kafka may keep the old membership for a while.
 */
export class RecordReader {
  readonly #kafka: Kafka
  readonly #topic: string
  readonly #name: string
  readonly #groupIds: string[] = []
  /** By partition. */
  readonly #wanted = new Map<number, Wanted>()
  #starting: Promise<Consumer> | undefined
  #consumer: Consumer | undefined
  #assigned: number[] = []

  /** @param name the client id, and the prefix of the group ids */
  constructor(connection: KafkaConnection, topic: string, name: string, logger: Logger) {
    this.#kafka = createKafka(connection, name, logger)
    this.#topic = topic
    this.#name = name
  }

  /**
   * Reads the record at one offset of each partition. Partitions with no record at that offset are not in the result.
   * Calls must not overlap.
   *
   * @throws Kafka fails, or does not deliver the record or a later one within 15 s
   */
  async read(offsets: ReadonlyMap<number, bigint>): Promise<Map<number, SingleRecord>> {
    const found = new Map<number, SingleRecord>()
    if (offsets.size === 0) return found
    this.#starting ??= this.#start()
    const consumer = await this.#starting
    const answers = [...offsets].map(async ([partition, offset]) => {
      const { promise, resolve, reject } = Promise.withResolvers<SingleRecord | undefined>()
      this.#wanted.set(partition, { offset, done: resolve, fail: reject })
      const record = await promise
      if (record !== undefined) found.set(partition, record)
    })
    const timer = setTimeout(() => {
      const [partition] = this.#wanted.keys()
      this.#fail(new Error(`partition ${partition} was not delivered within ${READ_LIMIT_MS / 1_000} s`))
    }, READ_LIMIT_MS)
    try {
      this.#fetchWanted(consumer)
      await Promise.all(answers)
      return found
    } finally {
      clearTimeout(timer)
      this.#wanted.clear()
    }
  }

  async close(): Promise<void> {
    if (this.#groupIds.length === 0) return
    await this.#giveUp(this.#consumer)
    const admin = this.#kafka.admin()
    try {
      await admin.connect()
      await admin.deleteGroups(this.#groupIds)
    } catch {
      // Kafka removes empty groups itself.
    } finally {
      await admin.disconnect().catch(() => {})
    }
  }

  async #start(): Promise<Consumer> {
    const groupId = `${this.#name}-${randomUUID()}`
    this.#groupIds.push(groupId)
    const consumer = this.#kafka.consumer({
      groupId,
      allowAutoTopicCreation: false,
      maxWaitTimeInMs: IDLE_MS,
      retry: { retries: 5, restartOnFailure: async () => false }, // the next read starts a new consumer
    })
    this.#consumer = consumer
    const { promise: joined, resolve, reject } = Promise.withResolvers<void>()
    joined.catch(() => {}) // if connecting fails, it is never awaited
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
      this.#assigned = payload.memberAssignment[this.#topic] ?? []
      this.#pause(consumer, this.#assigned) // before the first fetch, so that only wanted records are read
      this.#fetchWanted(consumer)
      resolve()
    })
    consumer.on(consumer.events.CRASH, ({ payload }) => {
      reject(payload.error)
      if (consumer !== this.#consumer) return
      this.#fail(payload.error)
      void this.#giveUp(consumer)
    })
    // eachBatch is not called for a fetch that contains only markers or aborted records.
    consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload }) => {
      if (payload.batchSize === 0) this.#take(consumer, payload.partition, [], payload.lastOffset)
    })
    const timer = setTimeout(() => reject(new Error('joining the group timed out')), JOIN_LIMIT_MS)
    try {
      await consumer.connect()
      await consumer.subscribe({ topic: this.#topic, fromBeginning: true })
      await consumer.run({
        autoCommit: false,
        eachBatchAutoResolve: false,
        eachBatch: async (payload) => {
          const { batch } = payload
          if (!payload.isStale()) this.#take(consumer, batch.partition, batch.messages, batch.lastOffset())
        },
      })
      await joined
      return consumer
    } catch (error) {
      await this.#giveUp(consumer)
      throw error
    } finally {
      clearTimeout(timer)
    }
  }

  /** Discards the consumer; the next read starts a new one. */
  async #giveUp(consumer: Consumer | undefined): Promise<void> {
    if (consumer === this.#consumer) {
      this.#consumer = undefined
      this.#starting = undefined
    }
    await consumer?.disconnect().catch(() => {})
  }

  #fetchWanted(consumer: Consumer): void {
    for (const [partition, { offset }] of this.#wanted) {
      consumer.seek({ topic: this.#topic, partition, offset: offset.toString() })
    }
    consumer.resume([{ topic: this.#topic, partitions: [...this.#wanted.keys()] }])
  }

  /**
   * Resolves a read with the fetched messages of its partition, unless they are all before the wanted offset. A partition
   * that is not wanted (any more) is paused, because kafkajs would fetch its unresolved batch again and again.
   */
  #take(consumer: Consumer, partition: number, messages: readonly KafkaMessage[], lastOffset: string): void {
    const wanted = this.#wanted.get(partition)
    if (wanted !== undefined && BigInt(lastOffset) < wanted.offset) return
    this.#wanted.delete(partition)
    this.#pause(consumer, [partition])
    if (wanted === undefined) return
    const message = messages.find(({ offset }) => BigInt(offset) === wanted.offset)
    wanted.done(
      message === undefined ? undefined : { value: message.value, timestampMs: Number(message.timestamp) },
    )
  }

  #fail(error: Error): void {
    for (const { fail } of this.#wanted.values()) fail(error)
    this.#wanted.clear()
  }

  #pause(consumer: Consumer, partitions: number[]): void {
    if (partitions.length > 0) consumer.pause([{ topic: this.#topic, partitions }])
  }
}

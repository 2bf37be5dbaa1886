import { randomUUID } from 'node:crypto'
import type { Consumer, Kafka, KafkaMessage } from 'kafkajs'
import { createKafka, type KafkaConnection } from './client.ts'
import type { Logger } from '../platform/log.ts'

export interface SingleRecord {
  value: Buffer | null
  /** Milliseconds since 1970, as Kafka has it. */
  timestampMs: number
}

interface Wanted {
  offset: bigint
  done: (record: SingleRecord | undefined) => void
  fail: (error: Error) => void
}

/** Kafka delivers nothing for so long: then it does not have it. */
const READ_LIMIT_MS = 15_000
const JOIN_LIMIT_MS = 30_000
/** How long kafkajs sleeps while all partitions are paused, which is how soon it sees what is wanted. */
const IDLE_MS = 250

/**
 * Reads single records by their coordinates. kafkajs reads only as a member of a group, so there is one for it, made
 * for the first record and deleted at the end; it commits nothing. After a failure the next record has a consumer and
 * a group of its own: Kafka may hold the old one's membership for a while.
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

  /** @param name what reads, in the names of the client and of the group */
  constructor(connection: KafkaConnection, topic: string, name: string, logger: Logger) {
    this.#kafka = createKafka(connection, name, logger)
    this.#topic = topic
    this.#name = name
  }

  /**
   * The record at one offset of each partition; a partition that has no record there any more is left out. One call at
   * a time.
   *
   * @throws when Kafka fails, or does not say within 15 s whether there is a record
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
      // Kafka forgets empty groups by itself.
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
      retry: { retries: 5, restartOnFailure: async () => false }, // the next read starts another
    })
    this.#consumer = consumer
    const { promise: joined, resolve, reject } = Promise.withResolvers<void>()
    joined.catch(() => {}) // when connecting has failed, nobody waits for it
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
      this.#assigned = payload.memberAssignment[this.#topic] ?? []
      this.#pause(consumer, this.#assigned) // before anything is fetched: only what is asked for is read
      this.#fetchWanted(consumer)
      resolve()
    })
    consumer.on(consumer.events.CRASH, ({ payload }) => {
      reject(payload.error)
      if (consumer !== this.#consumer) return
      this.#fail(payload.error)
      void this.#giveUp(consumer)
    })
    // eachBatch is not called for a fetch without a record: markers and aborted ones.
    consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload }) => {
      if (payload.batchSize === 0) this.#take(consumer, payload.partition, [], payload.lastOffset)
    })
    const timer = setTimeout(() => reject(new Error('joining a group took too long')), JOIN_LIMIT_MS)
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

  /** The next read starts anew. */
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
   * Answers with what was fetched of a partition, unless that is from before what is wanted. What nobody waits for any
   * more is not fetched again: it stays unresolved, so kafkajs would go round in it.
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

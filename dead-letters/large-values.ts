import { randomUUID } from 'node:crypto'
import type { Consumer, EachBatchPayload, Kafka } from 'kafkajs'
import { createKafka, type KafkaConnection, type TopicConfig } from '../runtime/kafka-client.ts'
import type { Logger } from '../runtime/log.ts'
import { KafkaTopicInspector } from '../sink-worker/topic-inspector.ts'
import type { TopicDescription } from '../sink-worker/record-source.ts'
import type { Fetched } from './decide.ts'
import type { LetterKey } from './letter.ts'

/** Kafka delivers nothing for so long: then it does not have it. */
const FETCH_LIMIT_MS = 15_000
const JOIN_LIMIT_MS = 30_000

interface Wanted {
  partition: number
  offset: bigint
  done: (fetched: Fetched) => void
}

/**
 * Reads single records by their coordinates: values past 1 MiB, which are not in dead_letters. kafkajs reads only as a
 * member of a group, so there is one for it, made for the first record and deleted at the end. Never rejects: what
 * cannot be read is answered with the reason.
 */
export class LargeValues {
  readonly #kafka: Kafka
  readonly #topic: string
  readonly #inspector: KafkaTopicInspector
  readonly #groupId = `firehose-dlq-${randomUUID()}`
  #reading: Promise<{ consumer: Consumer; description: TopicDescription }> | undefined
  #consumer: Consumer | undefined
  #wanted: Wanted | undefined

  constructor(connection: KafkaConnection, topic: TopicConfig, logger: Logger) {
    this.#kafka = createKafka(connection, 'firehose-dlq', logger)
    this.#inspector = new KafkaTopicInspector(connection, topic, logger)
    this.#topic = topic.name
  }

  /** One at a time. */
  async fetch(key: LetterKey): Promise<Fetched> {
    try {
      this.#reading ??= this.#start()
      const { consumer, description } = await this.#reading
      return missing(key, description) ?? (await this.#read(consumer, key))
    } catch (error) {
      return unavailable(`Kafka, which alone has the value, can not be read: ${(error as Error).message}`)
    }
  }

  async close(): Promise<void> {
    const consumer = this.#consumer
    if (consumer === undefined) return
    await consumer.disconnect().catch(() => {})
    const admin = this.#kafka.admin()
    try {
      await admin.connect()
      await admin.deleteGroups([this.#groupId])
    } catch {
      // Kafka forgets empty groups by itself.
    } finally {
      await admin.disconnect().catch(() => {})
    }
  }

  async #start(): Promise<{ consumer: Consumer; description: TopicDescription }> {
    const description = await this.#inspector.describe()
    const consumer = this.#kafka.consumer({ groupId: this.#groupId, allowAutoTopicCreation: false })
    this.#consumer = consumer
    const joined = new Promise<void>((resolve, reject) => {
      consumer.on(consumer.events.GROUP_JOIN, () => {
        consumer.pause([{ topic: this.#topic }]) // before anything is fetched: only what is asked for is read
        resolve()
      })
      consumer.on(consumer.events.CRASH, ({ payload }) => {
        reject(payload.error)
        this.#wanted?.done(unavailable(`Kafka, which alone has the value, failed: ${payload.error.message}`))
      })
      setTimeout(() => reject(new Error('joining a group took too long')), JOIN_LIMIT_MS).unref()
    })
    joined.catch(() => {}) // when connecting has failed, nobody waits for it
    await consumer.connect()
    await consumer.subscribe({ topic: this.#topic, fromBeginning: false })
    await consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      eachBatch: async (payload) => this.#take(payload),
    })
    await joined
    return { consumer, description }
  }

  async #read(consumer: Consumer, { partition, offset }: LetterKey): Promise<Fetched> {
    const answer = Promise.withResolvers<Fetched>()
    this.#wanted = { partition, offset, done: answer.resolve }
    const timer = setTimeout(() => {
      answer.resolve(unavailable(`Kafka did not deliver the value within ${FETCH_LIMIT_MS / 1_000} s`))
    }, FETCH_LIMIT_MS)
    consumer.seek({ topic: this.#topic, partition, offset: offset.toString() })
    consumer.resume([{ topic: this.#topic, partitions: [partition] }])
    try {
      return await answer.promise
    } finally {
      clearTimeout(timer)
      this.#wanted = undefined
      consumer.pause([{ topic: this.#topic }]) // to pause one partition would resume the others
    }
  }

  #take({ batch }: EachBatchPayload): void {
    const wanted = this.#wanted
    if (wanted === undefined || wanted.partition !== batch.partition) return
    const message = batch.messages.find(({ offset }) => BigInt(offset) === wanted.offset)
    if (message !== undefined) {
      wanted.done({ ok: true, value: message.value, timestampMs: Number(message.timestamp) })
    } else if (BigInt(batch.lastOffset()) >= wanted.offset) {
      wanted.done({ ok: false, reason: 'value_expired', message: 'Kafka has no record there any more' })
    }
  }
}

/** What the topic's description tells about a value without reading it; undefined when it may be there. Pure. */
function missing(
  { clusterId, partition, offset }: LetterKey,
  description: TopicDescription,
): Fetched | undefined {
  if (clusterId !== description.clusterId) {
    return unavailable(`The value is not in this Kafka (${description.clusterId}) but was in ${clusterId}`)
  }
  const ends = description.partitions.get(partition)
  if (ends === undefined) return unavailable(`Kafka does not know partition ${partition}`)
  if (offset < ends.low) {
    const message = `The value has expired: partition ${partition} of Kafka now begins at offset ${ends.low}`
    return { ok: false, reason: 'value_expired', message }
  }
  if (offset >= ends.lastStable) {
    return unavailable(
      `Partition ${partition} of Kafka ends at offset ${ends.lastStable}: was the topic recreated?`,
    )
  }
  return undefined
}

function unavailable(message: string): Fetched {
  return { ok: false, reason: 'value_unavailable', message }
}

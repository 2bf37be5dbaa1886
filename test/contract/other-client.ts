import type { Message, Producer } from 'kafkajs'
import { kafkaClient } from '../support/records.ts'
import { withAdmin } from '../support/topic.ts'
import { until } from '../support/until.ts'

/* What another program does with Kafka, by a client of its own: it prepares what the contract looks at, and checks it. */

export interface StoredRecord {
  offset: bigint
  key: string | null
  value: string | undefined
  headers: Record<string, string>
}

let made = 0

/** A new topic with a leader for each partition; its name. */
export async function newTopic(
  bootstrapServers: string,
  numPartitions = 1,
  config: Record<string, string> = {},
): Promise<string> {
  const topic = `contract-${made++}`
  await makeTopic(bootstrapServers, topic, numPartitions, config)
  return topic
}

/** Makes it, and waits for one of that name that is still being deleted. */
export async function makeTopic(
  bootstrapServers: string,
  topic: string,
  numPartitions: number,
  config: Record<string, string> = {},
): Promise<void> {
  const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }))
  await withAdmin(bootstrapServers, async (admin) => {
    let mayBeOurs = false
    await until('the topic is made', async () => {
      try {
        const topics = [{ topic, numPartitions, configEntries }]
        return (await admin.createTopics({ topics, waitForLeaders: false })) || mayBeOurs
      } catch {
        mayBeOurs = true // made, and the answer came too late
        return false
      }
    })
    // Their leaders answer: the metadata may name one that has yet to open its log.
    await until('all partitions are there', async () => {
      const offsets = await admin.fetchTopicOffsets(topic).catch(() => [])
      return offsets.length === numPartitions
    })
  })
}

/** A connected producer; what it sends comes in one batch of the partition. */
export async function withSender<T>(
  bootstrapServers: string,
  topic: string,
  work: (send: (partition: number, ...messages: (string | Message)[]) => Promise<void>) => Promise<T>,
): Promise<T> {
  const producer = kafkaClient(bootstrapServers).producer({ allowAutoTopicCreation: false })
  await producer.connect()
  try {
    return await work(async (partition, ...messages) => {
      await producer.send({ topic, acks: -1, messages: messages.map((each) => toMessage(partition, each)) })
    })
  } finally {
    await producer.disconnect()
  }
}

/** As withSender(), once. */
export async function send(
  bootstrapServers: string,
  topic: string,
  partition: number,
  ...messages: (string | Message)[]
): Promise<void> {
  await withSender(bootstrapServers, topic, async (sendOnce) => await sendOnce(partition, ...messages))
}

/** Opens a transaction with these records in partition 0; the result ends it. */
export async function transact(
  producer: Producer,
  topic: string,
  ...values: string[]
): Promise<(end: 'commit' | 'abort') => Promise<void>> {
  const transaction = await producer.transaction()
  await transaction.send({ topic, messages: values.map((value) => toMessage(0, value)) })
  return async (end) => await transaction[end]()
}

/** All that may be read of a partition. */
export async function recordsIn(
  bootstrapServers: string,
  topic: string,
  partition: number,
): Promise<StoredRecord[]> {
  const kafka = kafkaClient(bootstrapServers)
  const records: StoredRecord[] = []
  const end = await withAdmin(bootstrapServers, async (admin) => {
    const offsets = await admin.fetchTopicOffsets(topic)
    return BigInt(offsets.find((each) => each.partition === partition)?.high ?? '0')
  })
  const consumer = kafka.consumer({ groupId: `${topic}-${crypto.randomUUID()}`, maxWaitTimeInMs: 100 })
  const isRead = Promise.withResolvers<void>()
  try {
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: true })
    consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload }) => {
      if (payload.partition === partition && BigInt(payload.lastOffset) + 1n >= end) isRead.resolve()
    })
    if (end === 0n) isRead.resolve()
    await consumer.run({
      autoCommit: false,
      eachMessage: async ({ partition: from, message: { offset, key, value, headers = {} } }) => {
        if (from !== partition) return
        const texts = Object.entries(headers).map(([name, text]) => [name, String(text)])
        records.push({
          offset: BigInt(offset),
          key: key === null ? null : String(key),
          value: value?.toString(),
          headers: Object.fromEntries(texts) as Record<string, string>,
        })
      },
    })
    await isRead.promise
  } finally {
    await consumer.disconnect()
  }
  return records
}

/** Drops what lies before `offset`, as retention would. */
export async function expire(bootstrapServers: string, topic: string, offset: bigint): Promise<void> {
  await withAdmin(bootstrapServers, async (admin) => {
    await admin.fetchTopicMetadata({ topics: [topic] }) // deleteTopicRecords wants it loaded
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: String(offset) }] })
  })
}

function toMessage(partition: number, message: string | Message): Message {
  return typeof message === 'string' ? { value: message, partition } : { ...message, partition }
}

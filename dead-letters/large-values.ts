import type { KafkaConnection } from '../kafka/client.ts'
import type { TopicConfig } from '../kafka/topic.ts'
import type { Logger } from '../platform/log.ts'
import { RecordReader } from '../kafka/record-reader.ts'
import { KafkaTopicInspector } from '../kafka/consumer/kafka-topic-inspector.ts'
import type { TopicDescription } from '../sink-worker/record-source.ts'
import type { Fetched } from './decide.ts'
import type { LetterKey } from './letter.ts'

/**
 * Reads values of more than 1 MiB from Kafka; dead_letters holds only their digests. Never rejects: if a value cannot be
 * read, the result says why.
 */
export class LargeValues {
  readonly #inspector: KafkaTopicInspector
  readonly #reader: RecordReader
  #description: Promise<TopicDescription> | undefined

  constructor(connection: KafkaConnection, topic: TopicConfig, logger: Logger) {
    this.#inspector = new KafkaTopicInspector(connection, topic, logger)
    this.#reader = new RecordReader(connection, topic.name, 'firehose-dlq', logger)
  }

  /** Must not be called concurrently. */
  async fetch(key: LetterKey): Promise<Fetched> {
    try {
      this.#description ??= this.#inspector.describe()
      const reason = missing(key, await this.#description)
      if (reason !== undefined) return reason
      const { partition, offset } = key
      const record = (await this.#reader.read(new Map([[partition, offset]]))).get(partition)
      if (record !== undefined) return { ok: true, ...record }
      return { ok: false, reason: 'value_expired', message: 'Kafka no longer has a record at this offset' }
    } catch (error) {
      this.#description = undefined // describe the topic again for the next value
      return unavailable(`The value is only in Kafka, which cannot be read: ${(error as Error).message}`)
    }
  }

  async close(): Promise<void> {
    await this.#reader.close()
  }
}

/** Why the value cannot be in Kafka, by the topic's description; undefined if it may be there. Pure. */
function missing(
  { clusterId, partition, offset }: LetterKey,
  description: TopicDescription,
): Fetched | undefined {
  if (clusterId !== description.clusterId) {
    return unavailable(`The value was in cluster ${clusterId}, not in this one (${description.clusterId})`)
  }
  const ends = description.partitions.get(partition)
  if (ends === undefined) return unavailable(`Kafka does not know partition ${partition}`)
  if (offset < ends.low) {
    const message = `The value has expired: partition ${partition} now starts at offset ${ends.low}`
    return { ok: false, reason: 'value_expired', message }
  }
  if (offset >= ends.lastStable) {
    return unavailable(`Partition ${partition} ends at offset ${ends.lastStable}: was the topic recreated?`)
  }
  return undefined
}

function unavailable(message: string): Fetched {
  return { ok: false, reason: 'value_unavailable', message }
}

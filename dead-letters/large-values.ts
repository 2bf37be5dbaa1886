import type { KafkaConnection, TopicConfig } from '../kafka/client.ts'
import type { Logger } from '../platform/log.ts'
import { RecordReader } from '../kafka/record-reader.ts'
import { KafkaTopicInspector } from '../kafka/consumer/kafka-topic-inspector.ts'
import type { TopicDescription } from '../sink-worker/record-source.ts'
import type { Fetched } from './decide.ts'
import type { LetterKey } from './letter.ts'

/**
 * Reads values past 1 MiB, which are not in dead_letters. Never rejects: what cannot be read is answered with the
 * reason.
 */
export class LargeValues {
  readonly #inspector: KafkaTopicInspector
  readonly #reader: RecordReader
  #description: Promise<TopicDescription> | undefined

  constructor(connection: KafkaConnection, topic: TopicConfig, logger: Logger) {
    this.#inspector = new KafkaTopicInspector(connection, topic, logger)
    this.#reader = new RecordReader(connection, topic.name, 'firehose-dlq', logger)
  }

  /** One at a time. */
  async fetch(key: LetterKey): Promise<Fetched> {
    try {
      this.#description ??= this.#inspector.describe()
      const reason = missing(key, await this.#description)
      if (reason !== undefined) return reason
      const { partition, offset } = key
      const record = (await this.#reader.read(new Map([[partition, offset]]))).get(partition)
      if (record !== undefined) return { ok: true, ...record }
      return { ok: false, reason: 'value_expired', message: 'Kafka has no record there any more' }
    } catch (error) {
      this.#description = undefined // the next value is asked for anew
      return unavailable(`Kafka, which alone has the value, cannot be read: ${(error as Error).message}`)
    }
  }

  async close(): Promise<void> {
    await this.#reader.close()
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

import kafkajs, { type Admin, type Kafka } from 'kafkajs'
import { createKafka, createTopicIfMissing, type KafkaConnection, type TopicConfig } from '../client.ts'
import type { Logger } from '../../platform/log.ts'
import { fetchTopicEnds } from '../topic-ends.ts'
import type { TopicDescription, TopicInspector } from '../../sink-worker/record-source.ts'

/**
 * Describes the topic through a connection that is opened for each call: a permanent one would double the CPU time that
 * kafkajs takes when idle.
 */
export class KafkaTopicInspector implements TopicInspector {
  readonly #kafka: Kafka
  readonly #topic: TopicConfig

  constructor(connection: KafkaConnection, topic: TopicConfig, logger: Logger) {
    this.#kafka = createKafka(connection, 'firehose-sink-inspector', logger)
    this.#topic = topic
  }

  async createIfMissing(): Promise<boolean> {
    return await createTopicIfMissing(this.#kafka, this.#topic)
  }

  async describe(): Promise<TopicDescription> {
    return await this.#withAdmin(async (admin) => {
      const [{ clusterId }, partitions, configs] = await Promise.all([
        admin.describeCluster(),
        fetchTopicEnds(admin, this.#topic.name),
        admin.describeConfigs({
          includeSynonyms: false,
          resources: [
            {
              type: kafkajs.ConfigResourceTypes.TOPIC,
              name: this.#topic.name,
              configNames: ['cleanup.policy'],
            },
          ],
        }),
      ])
      const policy = configs.resources[0]?.configEntries[0]?.configValue ?? ''
      return {
        clusterId,
        compacted: policy.includes('compact'),
        partitions,
      }
    })
  }

  /** For each partition, the first offset whose record has this timestamp or a later one, or the end if there is none. */
  async offsetsAt(timeMs: number): Promise<Map<number, bigint>> {
    return await this.#withAdmin(async (admin) => {
      const offsets = await admin.fetchTopicOffsetsByTimestamp(this.#topic.name, timeMs)
      return new Map(offsets.map(({ partition, offset }) => [partition, BigInt(offset)]))
    })
  }

  async #withAdmin<T>(work: (admin: Admin) => Promise<T>): Promise<T> {
    const admin = this.#kafka.admin()
    await admin.connect()
    try {
      return await work(admin)
    } finally {
      await admin.disconnect()
    }
  }
}

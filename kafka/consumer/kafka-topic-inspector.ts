import { createKafka, type KafkaConnection } from '../client.ts'
import { withClusterInspector } from '../cluster-inspector.ts'
import { createTopicIfMissing, type TopicConfig } from '../topic.ts'
import type { Logger } from '../../platform/log.ts'
import type { TopicDescription, TopicInspector } from '../../sink-worker/record-source.ts'

const CLIENT_ID = 'firehose-sink-inspector'

/**
 * Describes the topic through a connection that is opened for each call: a permanent one would double the CPU time that
 * kafkajs takes when idle.
 */
export class KafkaTopicInspector implements TopicInspector {
  readonly #connection: KafkaConnection
  readonly #topic: TopicConfig
  readonly #logger: Logger

  constructor(connection: KafkaConnection, topic: TopicConfig, logger: Logger) {
    this.#connection = connection
    this.#topic = topic
    this.#logger = logger
  }

  async createIfMissing(): Promise<boolean> {
    const kafka = createKafka(this.#connection, CLIENT_ID, this.#logger)
    return await createTopicIfMissing(kafka, this.#topic, this.#logger)
  }

  async describe(): Promise<TopicDescription> {
    const { name } = this.#topic
    return await withClusterInspector(this.#connection, CLIENT_ID, this.#logger, async (cluster) => {
      const [{ clusterId }, partitions, configs] = await Promise.all([
        cluster.cluster(),
        cluster.ends(name),
        cluster.configs('TOPIC', name),
      ])
      return { clusterId, compacted: configs['cleanup.policy']?.includes('compact') ?? false, partitions }
    })
  }
}

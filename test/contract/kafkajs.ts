import { createKafka } from '../../kafka/client.ts'
import type { TopicConfig } from '../../kafka/topic.ts'
import { KafkaRecordSource } from '../../kafka/consumer/kafka-record-source.ts'
import { KafkaTopicInspector } from '../../kafka/consumer/kafka-topic-inspector.ts'
import { KafkaPublisher } from '../../kafka/producer/kafka-publisher.ts'
import { ProduceSockets } from '../../kafka/producer/produce-socket.ts'
import { RecordReader } from '../../kafka/record-reader.ts'
import { createLogger } from '../../platform/log.ts'
import type { KafkaBackend } from '../../tools/stack/backends.ts'
import type { ClientUnderTest } from './client.ts'

/** The client that the services use, on this Kafka. */
export function kafkajsClient(kafka: KafkaBackend): ClientUnderTest {
  const connection = { brokers: [kafka.bootstrapServers], ssl: false, sasl: undefined }
  const logger = createLogger('test', 'silent')
  const topicOf = (name: string, partitions: number): TopicConfig => ({
    name,
    partitions,
    replicationFactor: 1,
    retentionMs: 3_600_000,
  })
  return {
    publishers: {
      'with placeholders': (topic, partitions) => {
        const { socketFactory, prepareSend } = new ProduceSockets()
        const client = createKafka(connection, 'test', logger, socketFactory)
        return new KafkaPublisher(client, topicOf(topic, partitions), logger, prepareSend)
      },
      'as messages': (topic, partitions) =>
        new KafkaPublisher(createKafka(connection, 'test', logger), topicOf(topic, partitions), logger),
    },
    source: (topic, options) =>
      new KafkaRecordSource(
        { connection, topic, minBytes: 1, maxWaitMs: 100, maxBytes: 1024 * 1024, ...options },
        logger,
      ),
    inspector: (topic, partitions) => new KafkaTopicInspector(connection, topicOf(topic, partitions), logger),
    reader: (topic) => new RecordReader(connection, topic, 'firehose-test', logger),
  }
}

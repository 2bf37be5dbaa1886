import { after, describe } from 'node:test'
import { createKafka, type TopicConfig } from '../../kafka/client.ts'
import { KafkaRecordSource } from '../../kafka/consumer/kafka-record-source.ts'
import { KafkaTopicInspector } from '../../kafka/consumer/kafka-topic-inspector.ts'
import { KafkaPublisher } from '../../kafka/producer/kafka-publisher.ts'
import { ProduceSockets } from '../../kafka/producer/produce-socket.ts'
import { RecordReader } from '../../kafka/record-reader.ts'
import { createLogger } from '../../platform/log.ts'
import { startBackend } from '../../tools/stack/backends.ts'
import type { ClientUnderTest } from '../contract/client.ts'
import { membershipContract } from '../contract/membership.ts'
import { outageContract } from '../contract/outages.ts'
import { publisherContract } from '../contract/publisher.ts'
import { recordReaderContract } from '../contract/record-reader.ts'
import { recordSourceContract } from '../contract/record-source.ts'
import { topicInspectorContract } from '../contract/topic-inspector.ts'

/*
 * The ports of the two services on a real Kafka, each promise by itself: kafkajs keeps them here, and what takes its
 * place must keep them too. The promises are in test/contract/, which knows the ports alone.
 */

const backend = await startBackend()
after(async () => await backend.close())

const { kafka } = backend
const connection = { brokers: [kafka.bootstrapServers], ssl: false, sasl: undefined }
const logger = createLogger('test', 'silent')

const topicOf = (name: string, partitions: number): TopicConfig => ({
  name,
  partitions,
  replicationFactor: 1,
  retentionMs: 3_600_000,
})
const kafkajs: ClientUnderTest = {
  publishers: {
    'with placeholders': (topic, partitions) => {
      const { socketFactory, handOver } = new ProduceSockets()
      const client = createKafka(connection, 'test', logger, socketFactory)
      return new KafkaPublisher(client, topicOf(topic, partitions), logger, handOver)
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

const place = { kafka, client: kafkajs }
// Each test has topics and groups of its own, and waits for Kafka most of the time.
describe('while Kafka is well', { concurrency: 3 }, () => {
  publisherContract(place)
  recordSourceContract(place)
  membershipContract(place)
  topicInspectorContract(place)
  recordReaderContract(place)
})
describe('while Kafka is away', () => outageContract(place))

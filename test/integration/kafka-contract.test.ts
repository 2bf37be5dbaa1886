import { after, describe } from 'node:test'
import { startBackend } from '../../tools/stack/backends.ts'
import { kafkajsClient } from '../contract/kafkajs.ts'
import { membershipContract } from '../contract/membership.ts'
import { publisherContract } from '../contract/publisher.ts'
import { recordReaderContract } from '../contract/record-reader.ts'
import { recordSourceContract } from '../contract/record-source.ts'
import { topicInspectorContract } from '../contract/topic-inspector.ts'
import { groupsLoaded } from '../support/group-members.ts'

/*
 * The ports of the two services on a real Kafka, each promise by itself: kafkajs keeps them here, and its replacement
 * must keep them too. The promises are in test/contract/, which knows only the ports; those for a Kafka that is away are
 * tested by test/faults/kafka-contract.test.ts.
 */

const backend = await startBackend()
after(async () => await backend.close())
await groupsLoaded(backend.kafka.bootstrapServers)

const place = { kafka: backend.kafka, client: kafkajsClient(backend.kafka) }
// Each test has topics and groups of its own, and waits for Kafka most of the time.
describe('while Kafka is well', { concurrency: 3 }, () => {
  publisherContract(place)
  recordSourceContract(place)
  membershipContract(place)
  topicInspectorContract(place)
  recordReaderContract(place)
})

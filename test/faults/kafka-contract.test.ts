import { after, describe } from 'node:test'
import { startBackend } from '../../tools/stack/backends.ts'
import { kafkajsClient } from '../contract/kafkajs.ts'
import { outageContract } from '../contract/outages.ts'

/* What the ports of the two services promise while Kafka is down or frozen. The rest: test/integration/kafka-contract.test.ts. */

const backend = await startBackend()
after(async () => await backend.close())

describe('while Kafka is away', () => {
  outageContract({ kafka: backend.kafka, client: kafkajsClient(backend.kafka) })
})

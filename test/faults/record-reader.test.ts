import assert from 'node:assert/strict'
import { after, afterEach, beforeEach, test } from 'node:test'
import { LargeValues } from '../../dead-letters/large-values.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { onFetched } from '../../kafka/patches.ts'
import { createLogger } from '../../platform/log.ts'
import { RecordReader } from '../../kafka/record-reader.ts'
import { withProducer } from '../support/records.ts'
import { createTopic, deleteTopic, withAdmin } from '../support/topic.ts'
import { until } from '../support/until.ts'

/* I6: large values are read from Kafka one by one, and a failed read does not affect the next one. */

const pipeline = await Pipeline.start()
const { kafka } = pipeline.backend
const connection = { brokers: [kafka.bootstrapServers], ssl: false, sasl: undefined }
const logger = createLogger('test', 'silent')
let reader: RecordReader

beforeEach(async () => {
  await deleteTopic(kafka.bootstrapServers)
  await createTopic(kafka.bootstrapServers, 2)
  await send(0, 'a')
  await send(1, 'b')
  reader = new RecordReader(connection, 'events', 'firehose-test', logger)
})
afterEach(async () => {
  await reader.close()
})
after(async () => {
  await pipeline.close()
})

test('I6: after Kafka was down for the first read, the next one succeeds', async () => {
  await kafka.stop()
  await assert.rejects(valueAt(0, 0n))
  await kafka.start()
  assert.equal(await readEventually(0), 'a')
  await kafka.stop()
  await assert.rejects(valueAt(1, 0n))
  await kafka.start()
  assert.equal(await readEventually(1), 'b')
})

test('I6: after describing the topic failed once, it is described again for the next dead letter', async (t) => {
  const topic = { name: 'events', partitions: 2, replicationFactor: 1, retentionMs: -1 }
  const values = new LargeValues(connection, topic, logger)
  t.after(async () => await values.close())
  const { clusterId } = await withAdmin(
    kafka.bootstrapServers,
    async (admin) => await admin.describeCluster(),
  )
  const key = { clusterId, partition: 0, offset: 0n }
  await kafka.stop()
  assert.equal((await values.fetch(key)).ok, false)
  await kafka.start()
  await until('it is read', async () => (await values.fetch(key)).ok)
})

test('I6: a read that fails to start does not affect the next one, and leaves no group', async () => {
  const before = await groups()
  await assert.rejects(valueAt(0, -3n), /negative/)
  assert.equal(await valueAt(1, 0n), 'b')
  await reader.close()
  assert.deepEqual(
    (await groups()).filter((group) => !before.includes(group)),
    [],
  )
})

test('I6: a record that arrives after the timeout is not fetched again and again', async () => {
  await assert.rejects(valueAt(0, 1n), /partition 0 was not delivered within 15 s/)
  let fetches = 0
  const ignore = onFetched(({ partition, messages }) => {
    if (partition === 0 && messages.length > 0) fetches += 1
  })
  await send(0, 'late')
  for (let n = 0; n < 10; n++) assert.equal(await valueAt(1, 0n), 'b')
  ignore()
  assert.ok(fetches <= 1, `it was fetched ${fetches} times`)
  assert.equal(await valueAt(0, 1n), 'late')
})

async function valueAt(partition: number, offset: bigint): Promise<string | undefined> {
  return (await reader.read(new Map([[partition, offset]]))).get(partition)?.value?.toString()
}

/** Retries, because the broker loads its groups after a start. */
async function readEventually(partition: number): Promise<string> {
  return await until('it is read', async () => await valueAt(partition, 0n).catch(() => undefined))
}

async function send(partition: number, value: string): Promise<void> {
  await withProducer(kafka.bootstrapServers, async (produce) => {
    await produce([{ partition, value }])
  })
}

async function groups(): Promise<string[]> {
  return await withAdmin(kafka.bootstrapServers, async (admin) =>
    (await admin.listGroups()).groups.map(({ groupId }) => groupId),
  )
}

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { transactionalProducer } from '../support/records.ts'
import { withAdmin } from '../support/topic.ts'
import { until } from '../support/until.ts'
import type { Place } from './client.ts'
import { expire, newTopic, send, transact } from './other-client.ts'

/** What a TopicInspector promises while Kafka is well. */
export function topicInspectorContract({ kafka: { bootstrapServers }, client }: Place): void {
  test('TopicInspector: a topic that is missing is not described, and is created once, as configured', async () => {
    const inspector = client.inspector('contract-created', 3)
    await assert.rejects(inspector.describe())
    assert.equal(await inspector.createIfMissing(), true)
    assert.equal(await inspector.createIfMissing(), false)
    const { partitions, compacted } = await inspector.describe()
    assert.equal(compacted, false)
    assert.deepEqual(new Set(partitions.keys()), new Set([0, 1, 2]))
    assert.equal(await client.inspector('contract-created', 7).createIfMissing(), false, 'it stays as it is')
    assert.equal((await inspector.describe()).partitions.size, 3)
  })

  test('TopicInspector: describes the cluster, the first offset that is left, and both ends past an open transaction', async (t) => {
    const topic = await newTopic(bootstrapServers, 2)
    const producer = await transactionalProducer(bootstrapServers, topic)
    t.after(async () => await producer.disconnect())
    await send(bootstrapServers, topic, 0, 'a', 'b', 'c')
    await expire(bootstrapServers, topic, 2n)
    const end = await transact(producer, topic, 'd', 'e')
    const inspector = client.inspector(topic, 2)
    const { clusterId, partitions } = await inspector.describe()
    const cluster = await withAdmin(bootstrapServers, async (admin) => await admin.describeCluster())
    assert.equal(clusterId, cluster.clusterId)
    assert.deepEqual(partitions.get(0), { low: 2n, lastStable: 3n, high: 5n })
    assert.deepEqual(partitions.get(1), { low: 0n, lastStable: 0n, high: 0n })
    await end('commit')
    const ends = await until('the marker is there', async () => {
      const { partitions: later } = await inspector.describe()
      return later.get(0)?.lastStable === 3n ? undefined : later.get(0) // Kafka writes it after it has answered
    })
    assert.deepEqual(ends, { low: 2n, lastStable: 6n, high: 6n })
  })

  for (const policy of ['compact', 'compact,delete']) {
    test(`TopicInspector: a topic with cleanup.policy=${policy} is compacted`, async () => {
      const topic = await newTopic(bootstrapServers, 1, { 'cleanup.policy': policy })
      assert.equal((await client.inspector(topic, 1).describe()).compacted, true)
    })
  }
}

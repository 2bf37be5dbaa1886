import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { Published, Publisher } from '../../producer-api/delivery/publisher.ts'
import { recordsOf } from '../support/records-of.ts'
import { until } from '../support/until.ts'
import type { Place } from './client.ts'
import { newTopic, recordsIn, send } from './other-client.ts'
import { publishError } from './publisher.ts'
import { Recorder } from './recorder.ts'

/** In which every call must have ended, whatever Kafka does. */
const BOUND_MS = 15_000
const CLOSE_BOUND_MS = 4_000

interface Opened {
  way: string
  topic: string
  publisher: Publisher
  /** Calls of onAvailable. */
  calls: number
}

/** What the ports promise while Kafka is away, and when it is back. Each outage is one test: it takes seconds. */
export function outageContract({ kafka, client }: Place): void {
  const { bootstrapServers } = kafka
  const records = [recordsOf(Buffer.from('a'), Buffer.from('b'))]

  /** Kafka may answer before its partitions are there again. */
  const publishInTheEnd = async (publisher: Publisher, way: string): Promise<Published> =>
    await until(`a send passes ${way}`, async () => {
      return await publisher.publish(0, records).catch(() => undefined)
    })

  /** A publisher of each way, with a topic of its own. */
  const openAll = async (t: TestContext): Promise<Opened[]> =>
    await Promise.all(
      Object.entries(client.publishers).map(async ([way, makePublisher]) => {
        const topic = await newTopic(bootstrapServers)
        const opened: Opened = { way, topic, publisher: makePublisher(topic, 1), calls: 0 }
        t.after(async () => await opened.publisher.close())
        opened.publisher.connect(() => (opened.calls += 1))
        await until('it is available', () => opened.publisher.availablePartitions().length === 1)
        await opened.publisher.publish(0, records)
        return opened
      }),
    )

  test('Kafka frozen: a send fails in bounded time and may have written; close() does not wait for it; all works when Kafka is thawed', async (t) => {
    const all = await openAll(t)
    const closing = await openAll(t)
    const inspector = client.inspector('contract-frozen', 1)
    await kafka.freeze()
    const startedAt = performance.now()
    try {
      const sends = [...all, ...closing].map(async ({ publisher, way }) => {
        const error = await publishError(publisher.publish(0, records))
        assert.deepEqual([error.mayHaveWritten, error.retryable, error.tooLarge], [true, true, false], way)
      })
      const looks = [assert.rejects(inspector.describe()), assert.rejects(inspector.createIfMissing())]
      await Promise.all(closing.map(async ({ publisher }) => await publisher.close()))
      assert.ok(performance.now() - startedAt < CLOSE_BOUND_MS, 'close() took too long')
      await Promise.all([...sends, ...looks])
      assert.ok(performance.now() - startedAt < BOUND_MS, 'it took too long')
      await until('none is available', () =>
        all.every(({ publisher }) => publisher.availablePartitions().length === 0),
      )
    } finally {
      await kafka.thaw()
    }
    for (const { publisher, topic, way } of all) {
      await until('it is available', () => publisher.availablePartitions().length === 1)
      const { baseOffset } = await publishInTheEnd(publisher, way)
      const stored = await recordsIn(bootstrapServers, topic, 0)
      assert.deepEqual(
        stored.slice(Number(baseOffset)).map(({ value }) => value),
        ['a', 'b'],
        way,
      )
    }
  })

  test('Kafka down: nothing was written, nothing is available, questions are rejected; all goes on by itself when it is back', async (t) => {
    const all = await openAll(t)
    const topic = await newTopic(bootstrapServers)
    await send(bootstrapServers, topic, 0, 'a', 'b')
    const source = client.source(topic, { groupId: `group-${topic}`, sessionTimeoutMs: 6_000 })
    const recorder = new Recorder(source)
    const run = source.run(recorder)
    const reader = client.reader(topic)
    t.after(async () => {
      await source.stop()
      await run
      await reader.close()
    })
    await until('they came', () => recorder.values().length === 2)
    await kafka.stop()
    const startedAt = performance.now()
    const sends = all.map(async ({ publisher, way }) => {
      const error = await publishError(publisher.publish(0, records))
      assert.deepEqual([error.mayHaveWritten, error.retryable, error.tooLarge], [false, true, false], way)
      await until('none is available', () => publisher.availablePartitions().length === 0)
    })
    await Promise.all([
      ...sends,
      assert.rejects(client.inspector(topic, 1).describe()),
      assert.rejects(client.inspector(topic, 1).createIfMissing()),
      assert.rejects(reader.read(new Map([[0, 0n]]))),
      until('onMembershipLost() is called', () => recorder.of('membershipLost').length > 0),
    ])
    assert.ok(performance.now() - startedAt < BOUND_MS, 'it took too long')
    const calls = all.map((each) => each.calls)
    await kafka.start()
    for (const [n, each] of all.entries()) {
      await until(`onAvailable is called ${each.way}`, () => each.calls > (calls[n] ?? 0))
      const { baseOffset } = await publishInTheEnd(each.publisher, each.way)
      const stored = await recordsIn(bootstrapServers, each.topic, 0)
      assert.deepEqual([baseOffset, stored.length], [2n, 4], 'no send that failed has written')
    }
    await until('it is read', async () => {
      const found = await reader.read(new Map([[0, 1n]])).catch(() => undefined)
      return found?.get(0)?.value?.toString() === 'b'
    })
    await send(bootstrapServers, topic, 0, 'c')
    await until('the next one came', () => recorder.values().includes('c'))
    assert.deepEqual(recorder.values(), ['a', 'b', 'c'])
  })
}

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { sendBomb } from '../support/bomb.ts'
import { transactionalProducer } from '../support/records.ts'
import { withAdmin } from '../support/topic.ts'
import { until } from '../support/until.ts'
import type { Place } from './client.ts'
import { makeTopic, newTopic, send, transact, withSender } from './other-client.ts'
import { arrived, sourcesOf } from './running-source.ts'

/** What a RecordSource promises of the records. What it promises of the group: membership.ts. */
export function recordSourceContract({ kafka: { bootstrapServers }, client }: Place): void {
  const running = sourcesOf(client)

  test('RecordSource: delivers from where it was told to begin, in order, each record once, with its time and headers', async (t) => {
    const topic = await newTopic(bootstrapServers, 2)
    await withSender(bootstrapServers, topic, async (produce) => {
      await produce(0, 'a', 'b', 'c')
      await produce(1, { value: 'm', timestamp: '1700000000000', headers: { n: 'v' } })
      const { recorder } = running(t, topic, { positions: new Map([[0, 1n]]) })
      let seen: unknown
      recorder.decide = async ({ partition, records: [first] }) => {
        if (partition === 1) seen = [first?.timestampMs, first?.offset, String(first?.headers.n)]
        return 'take'
      }
      await arrived(recorder, ['b', 'c'])
      await produce(0, 'd')
      await produce(0, 'e', 'f')
      await arrived(recorder, ['b', 'c', 'd', 'e', 'f'])
      await arrived(recorder, ['m'], 1)
      assert.deepEqual(seen, [1_700_000_000_000, 0n, 'v'])
      const firstKinds = recorder.calls.map(({ kind }) => kind).slice(0, 2)
      assert.deepEqual(firstKinds, ['assigned', 'batch'], 'onAssigned() comes before anything is fetched')
    })
  })

  test('RecordSource: seek() goes back, also while a batch is pending, which then counts no more', async (t) => {
    const topic = await newTopic(bootstrapServers)
    await send(bootstrapServers, topic, 0, 'a', 'b', 'c')
    const { recorder, source } = running(t, topic)
    await arrived(recorder, ['a', 'b', 'c'])
    source.seek(0, 1n)
    await arrived(recorder, ['a', 'b', 'c', 'b', 'c'])
    recorder.decide = async () => {
      recorder.decide = async () => 'take'
      source.seek(0, 2n)
      return 'take'
    }
    source.seek(0, 0n)
    await arrived(recorder, ['a', 'b', 'c', 'b', 'c', 'a', 'b', 'c', 'c'])
  })

  test('RecordSource: seek() counts for what the same fetch brought and was not delivered yet', async (t) => {
    const topic = await newTopic(bootstrapServers, 2)
    await send(bootstrapServers, topic, 0, 'a', 'b')
    await send(bootstrapServers, topic, 1, 'a', 'b')
    const { recorder, source } = running(t, topic)
    recorder.decide = async ({ partition }) => {
      recorder.decide = async () => 'take'
      source.seek(1 - partition, 1n)
      return 'take'
    }
    await until('all came', () => recorder.values(0).length + recorder.values(1).length >= 3)
    assert.deepEqual([...recorder.values(0), ...recorder.values(1)].toSorted(byText), ['a', 'b', 'b'])
  })

  test('RecordSource: after fetchOnly() nothing comes of the other partitions, until they are fetched again', async (t) => {
    const topic = await newTopic(bootstrapServers, 2)
    await withSender(bootstrapServers, topic, async (produce) => {
      await produce(0, 'a')
      await produce(1, '0')
      const { recorder, source } = running(t, topic)
      await arrived(recorder, ['a'])
      source.fetchOnly([1])
      await produce(0, 'held')
      for (const n of [1, 2, 3]) {
        await produce(1, String(n))
        await until('the other one', () => recorder.values(1).length === n + 1)
      }
      source.fetchOnly([])
      await produce(1, 'held')
      await produce(0, 'too')
      assert.deepEqual([recorder.values(0), recorder.values(1)], [['a'], ['0', '1', '2', '3']])
      source.fetchOnly([0])
      await arrived(recorder, ['a', 'held', 'too'])
      assert.deepEqual(recorder.values(1), ['0', '1', '2', '3'])
      source.fetchOnly([0, 1])
      await arrived(recorder, ['0', '1', '2', '3', 'held'], 1)
    })
  })

  test('RecordSource: a batch that is not taken comes again, as it was', async (t) => {
    const topic = await newTopic(bootstrapServers)
    await send(bootstrapServers, topic, 0, 'a', 'b')
    const { recorder } = running(t, topic)
    let left = 2
    recorder.decide = async () => (left-- > 0 ? 'leave' : 'take')
    await arrived(recorder, ['a', 'b', 'a', 'b', 'a', 'b'])
    await send(bootstrapServers, topic, 0, 'c')
    await arrived(recorder, ['a', 'b', 'a', 'b', 'a', 'b', 'c'])
  })

  test('RecordSource: markers and aborted records are never delivered, and are covered: as gaps, or as empty', async (t) => {
    const topic = await newTopic(bootstrapServers)
    const [first, second] = await Promise.all([
      transactionalProducer(bootstrapServers, `${topic}-1`),
      transactionalProducer(bootstrapServers, `${topic}-2`),
    ])
    t.after(async () => await Promise.all([first.disconnect(), second.disconnect()]))
    const endFirst = await transact(first, topic, 'aborted', 'aborted')
    const endSecond = await transact(second, topic, 'aborted too')
    await endSecond('abort') // ends before the one that it began after
    const endThird = await transact(second, topic, 'a') // begins when Kafka has written the marker of that end
    await endFirst('abort')
    await endThird('commit')
    await (await transact(first, topic, 'aborted'))('abort')
    await send(bootstrapServers, topic, 0, 'b')
    await (await transact(first, topic, 'c'))('commit')
    const { recorder } = running(t, topic)
    await arrived(recorder, ['a', 'b', 'c'])
    const end = await endOf(topic)
    assert.equal(recorder.of('batch').at(-1)?.to, end, 'past the marker that ends it')
    await (await transact(second, topic, 'aborted', 'aborted'))('abort')
    await until('the end is reported', () => recorder.of('emptyRange').at(-1)?.to === end + 3n)
    assert.equal(recorder.of('emptyRange')[0]?.from, end)
    assert.deepEqual(recorder.values(), ['a', 'b', 'c'])
  })

  test('RecordSource: onWatermarks() reports the last stable offset and the high watermark, which differ during an open transaction', async (t) => {
    const topic = await newTopic(bootstrapServers)
    const producer = await transactionalProducer(bootstrapServers, topic)
    t.after(async () => await producer.disconnect())
    await send(bootstrapServers, topic, 0, 'a')
    const { recorder } = running(t, topic)
    await arrived(recorder, ['a'])
    const end = await transact(producer, topic, 'b')
    await send(bootstrapServers, topic, 0, 'c')
    await until('both ends', () => {
      const { lastStable, high } = recorder.lastWatermarks.get(0) ?? {}
      return lastStable === 1n && high === 3n
    })
    assert.deepEqual(recorder.values(), ['a'])
    await end('commit')
    await arrived(recorder, ['a', 'b', 'c'])
    await until('they are one again', () => recorder.lastWatermarks.get(0)?.lastStable === 4n)
  })

  test('RecordSource: no call throws while it stops, nor after', async (t) => {
    const topic = await newTopic(bootstrapServers)
    await send(bootstrapServers, topic, 0, 'a')
    const { recorder, source } = running(t, topic)
    await arrived(recorder, ['a'])
    const stopped = new AbortController()
    const stopping = source.stop().finally(() => stopped.abort())
    while (!stopped.signal.aborted) {
      source.seek(0, 0n)
      source.fetchOnly([])
      await setImmediate()
    }
    await stopping
    source.seek(0, 0n)
    source.fetchOnly([0])
  })

  test('RecordSource: nothing of a recreated topic is delivered before onFetchFailed() or a new assignment', async (t) => {
    const topic = await newTopic(bootstrapServers)
    await send(bootstrapServers, topic, 0, 'old', 'old')
    const { recorder } = running(t, topic)
    await arrived(recorder, ['old', 'old'])
    const before = recorder.calls.length
    await withAdmin(bootstrapServers, async (admin) => await admin.deleteTopics({ topics: [topic] }))
    await makeTopic(bootstrapServers, topic, 1)
    await send(bootstrapServers, topic, 0, 'new', 'new', 'new')
    await until('it comes', () => recorder.values().length > 2)
    const [first] = recorder.calls.slice(before)
    assert.ok(first !== undefined && first.kind !== 'batch', `${first?.kind} came first`)
  })

  test('RecordSource: a batch that cannot be read is no outage: onMembershipLost() reports within a second that it needs a person', async (t) => {
    const topic = await newTopic(bootstrapServers, 1)
    const { recorder } = running(t, topic)
    await until('it is assigned', () => recorder.of('assigned').length > 0)
    await sendBomb(bootstrapServers, topic, 65, 'LZ4') // LZ4, because it is measured before it is decompressed
    const sentAt = performance.now()
    const { reason } = await until('it is reported', () => recorder.of('membershipLost')[0])
    assert.equal((reason as { needsPerson?: boolean }).needsPerson, true, String(reason))
    assert.ok(performance.now() - sentAt < 1_000, `after ${performance.now() - sentAt} ms`)
    assert.deepEqual(recorder.values(), [])
  })

  async function endOf(topic: string): Promise<bigint> {
    const [only] = await withAdmin(bootstrapServers, async (admin) => await admin.fetchTopicOffsets(topic))
    return BigInt(only?.high ?? -1)
  }
}

function byText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b)
}

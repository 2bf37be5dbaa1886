import assert from 'node:assert/strict'
import { test } from 'node:test'
import { transactionalProducer } from '../support/records.ts'
import type { Place, RecordReader } from './client.ts'
import { expire, newTopic, send, transact } from './other-client.ts'

/** What a RecordReader promises while Kafka is well. */
export function recordReaderContract({ kafka: { bootstrapServers }, client }: Place): void {
  const reading = async (topic: string, work: (reader: RecordReader) => Promise<void>): Promise<void> => {
    const reader = client.reader(topic)
    try {
      await work(reader)
    } finally {
      await reader.close()
    }
  }
  const read = async (reader: RecordReader, ...coordinates: [number, bigint][]) =>
    [...(await reader.read(new Map(coordinates)))]
      .toSorted(([a], [b]) => a - b)
      .map(([partition, { value }]) => [partition, value === null ? null : value.toString()])

  test('RecordReader: reads one record of each partition by its offset, in any order, with its time', async () => {
    const topic = await newTopic(bootstrapServers, 2)
    await send(bootstrapServers, topic, 0, 'a', 'b', { value: 'c', timestamp: '1700000000000' })
    await send(bootstrapServers, topic, 1, { key: 'k', value: null }, 'e')
    await reading(topic, async (reader) => {
      assert.deepEqual(await read(reader), [])
      assert.deepEqual(await read(reader, [0, 2n], [1, 0n]), [
        [0, 'c'],
        [1, null],
      ])
      assert.deepEqual(await read(reader, [0, 0n]), [[0, 'a']])
      assert.deepEqual(await read(reader, [1, 1n], [0, 1n]), [
        [0, 'b'],
        [1, 'e'],
      ])
      const record = (await reader.read(new Map([[0, 2n]]))).get(0)
      assert.equal(record?.timestampMs, 1_700_000_000_000)
    })
  })

  test('RecordReader: what expired, was aborted or is a marker is left out; a committed one is not', async (t) => {
    const topic = await newTopic(bootstrapServers)
    const producer = await transactionalProducer(bootstrapServers, topic)
    t.after(async () => await producer.disconnect())
    await send(bootstrapServers, topic, 0, 'expired', 'expired') // 0 and 1
    await (await transact(producer, topic, 'aborted'))('abort') // 2, a marker at 3
    await (await transact(producer, topic, 'committed'))('commit') // 4, a marker at 5
    await expire(bootstrapServers, topic, 1n)
    await reading(topic, async (reader) => {
      for (const offset of [0n, 2n, 3n, 5n])
        assert.deepEqual(await read(reader, [0, offset]), [], `${offset}`)
      assert.deepEqual(await read(reader, [0, 1n]), [[0, 'expired']])
      assert.deepEqual(await read(reader, [0, 4n]), [[0, 'committed']])
    })
  })
}

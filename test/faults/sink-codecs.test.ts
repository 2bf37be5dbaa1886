import assert from 'node:assert/strict'
import { after, beforeEach, test } from 'node:test'
import kafkajs from 'kafkajs'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { rssMiB } from '../support/processes.ts'
import { record, withProducer } from '../support/records.ts'
import { caughtUp, storedRows, untilHealth } from '../support/sink-health.ts'
import { configureTopic, createTopic, expireBefore, forgetAll } from '../support/topic.ts'

/*
 * Batches that cannot be read: the sink reports them and waits, nothing is lost or skipped, and the documented remedy
 * works. The broker makes the LZ4 and Snappy batches: it recompresses batches that do not match the topic's
 * compression.type.
 */

const pipeline = await Pipeline.start({ KAFKA_TOPIC_PARTITIONS: '1', KAFKA_SESSION_TIMEOUT_MS: '2000' })
const { bootstrapServers } = pipeline.backend.kafka
const sink = await pipeline.startSink()
await sink.stop(10_000)

beforeEach(async () => {
  await sink.stop(10_000)
  await forgetAll(pipeline)
})
after(async () => {
  await pipeline.close()
})

for (const name of ['gzip', 'zstd', 'uncompressed']) {
  test(`batches that the broker recompressed as ${name} are stored`, async () => {
    await createTopic(bootstrapServers, 1, [{ name: 'compression.type', value: name }])
    await send(...numbers(0, 100).map((n) => record(n)))
    await sink.start()
    await storedRows(pipeline, 100)
  })
}

for (const name of ['lz4', 'snappy']) {
  test(`I9: a batch compressed with ${name} pauses the sink with that reason, nothing is skipped, and the remedy works`, async () => {
    await createTopic(bootstrapServers, 1, [{ name: 'compression.type', value: name }])
    await send(...numbers(0, 100).map((n) => record(n)))
    sink.spawn()
    await pausedFor(new RegExp(`a batch of another producer is compressed with ${name}, .*use zstd`, 'i'))
    assert.equal(await pipeline.countEvents(), 0)
    const [row] = await pipeline.query('SELECT next_offset FROM sink_offsets')
    assert.deepEqual(row, { next_offset: '0' })
    await remedied(100)
  })
}

test('I7: a decompression bomb pauses the sink, in bounded memory, and the remedy works', async (t) => {
  await createTopic(bootstrapServers, 1)
  await withProducer(bootstrapServers, async (_send, producer) => {
    const bomb = { value: Buffer.alloc(80 * 1024 * 1024), partition: 0 }
    await producer.send({ topic: 'events', messages: [bomb], compression: kafkajs.CompressionTypes.GZIP })
  })
  sink.spawn()
  await pausedFor(/a batch of another producer decompresses to more than 67108864 bytes/)
  const nowMiB = rssMiB(sink.pid ?? 0)
  t.diagnostic(`RSS of the sink ${nowMiB.toFixed(0)} MiB`)
  assert.ok(nowMiB < 250, `${nowMiB} MiB`)
  await remedied(1)
})

async function pausedFor(reason: RegExp): Promise<void> {
  const health = await untilHealth(
    'paused',
    sink,
    ({ state, reason: why }) => state === 'paused' && reason.test(why ?? ''),
  )
  assert.equal(health.needs_person, true)
}

/** The documented remedy: delete the records that cannot be read; the sink counts them and continues. */
async function remedied(unreadable: number): Promise<void> {
  await expireBefore(bootstrapServers, unreadable)
  await caughtUp(sink)
  await configureTopic(bootstrapServers, 'compression.type', 'zstd')
  await send(...numbers(1_000, 10).map((n) => record(n)))
  await storedRows(pipeline, 10)
  assert.equal((await caughtUp(sink)).total_expired, unreadable)
}

function numbers(from: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => from + index)
}

async function send(...values: string[]): Promise<void> {
  await withProducer(bootstrapServers, async (produce) => {
    await produce(values.map((value) => ({ value, partition: 0 })))
  })
}

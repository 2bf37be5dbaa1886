import assert from 'node:assert/strict'
import { after, beforeEach, test } from 'node:test'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { sendBomb } from '../support/bomb.ts'
import { rssMiB } from '../support/processes.ts'
import { record, withProducer } from '../support/records.ts'
import { caughtUp, storedRows, untilHealth } from '../support/sink-health.ts'
import { createTopic, expireBefore, forgetAll } from '../support/topic.ts'

/*
 * Compressed batches of other producers, and of the broker, which recompresses what does not match the topic's
 * compression.type. Those that are too large cannot be read: the sink reports them and waits, nothing is lost or skipped,
 * and the documented remedy works. Real clients: test/compatibility/kafka-codecs.test.ts.
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

for (const name of ['gzip', 'snappy', 'lz4', 'zstd', 'uncompressed']) {
  test(`batches that the broker recompressed as ${name} are stored`, async () => {
    await createTopic(bootstrapServers, 1, [{ name: 'compression.type', value: name }])
    await send(...numbers(0, 100).map((n) => record(n)))
    await sink.start()
    await storedRows(pipeline, 100)
  })
}

for (const name of ['GZIP', 'LZ4'] as const) {
  test(`I7: a decompression bomb of ${name} pauses the sink, in bounded memory, and the remedy works`, async (t) => {
    await createTopic(bootstrapServers, 1)
    await sendBomb(bootstrapServers, 'events', 80, name)
    sink.spawn()
    await pausedFor(/a batch of another producer decompresses to more than 67108864 bytes/)
    const [row] = await pipeline.query('SELECT next_offset FROM sink_offsets')
    assert.deepEqual(row, { next_offset: '0' }, 'I9: nothing is skipped')
    const nowMiB = rssMiB(sink.pid ?? 0)
    t.diagnostic(`RSS of the sink ${nowMiB.toFixed(0)} MiB`)
    assert.ok(nowMiB < 250, `${nowMiB} MiB`)
    await remedied(1)
  })
}

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

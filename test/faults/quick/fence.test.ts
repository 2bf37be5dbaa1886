import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { NodeService } from '../../../embedded/node-service.ts'
import { Pipeline } from '../../../tools/stack/pipeline.ts'
import { quickTimeouts } from '../../support/scale.ts'
import { record, withProducer } from '../../support/records.ts'
import { until } from '../../support/until.ts'

/*
 * I3: a worker that lost its partition cannot write it again. That it cannot block it either is tested in
 * test/faults/sink-frozen.test.ts and sink-moments.test.ts.
 */

let pipeline: Pipeline

before(async () => {
  pipeline = await Pipeline.start({ KAFKA_TOPIC_PARTITIONS: '1', ...quickTimeouts })
})
after(async () => {
  await pipeline?.close()
})

test('I3: two sinks that read the same partition write each range once, without duplicates', async () => {
  const rivals = [
    await pipeline.startSink({ KAFKA_GROUP_ID: 'one' }),
    await pipeline.startSink({ KAFKA_GROUP_ID: 'other' }),
  ]
  await until('both read', async () => (await Promise.all(rivals.map(isRunning))).every(Boolean))
  for (let batch = 0; batch < 20; batch++) await send(1_000 + batch * 50, 50)
  await until('both have reached the end', async () => {
    const ends = await Promise.all(rivals.map(async (rival) => await nextOffset(rival)))
    return ends.every((offset) => offset === 1_000)
  })
  assert.equal(await pipeline.countEvents(), 1_000)
  const healths = await Promise.all(rivals.map(async (rival) => await rival.health()))
  assert.deepEqual(
    healths.map((health) => health?.total_duplicates),
    [0, 0],
  )
  await Promise.all(rivals.map(async (rival) => await rival.stop(10_000)))
})

async function send(from: number, count: number): Promise<void> {
  await withProducer(pipeline.backend.kafka.bootstrapServers, async (produce) => {
    await produce(
      Array.from({ length: count }, (_, index) => ({ value: record(from + index), partition: 0 })),
    )
  })
}

async function nextOffset(sink: NodeService): Promise<number | undefined> {
  const [partition] = ((await sink.health())?.partitions ?? []) as { next_offset: number }[]
  return partition?.next_offset
}

async function isRunning(sink: NodeService): Promise<boolean> {
  return (await sink.health())?.state === 'running'
}

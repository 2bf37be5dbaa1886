import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { NodeService } from '../../embedded/node-service.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { blockWriters, sinkInTransaction } from '../support/moments.ts'
import { quickTimeouts } from '../support/scale.ts'
import { record, withProducer } from '../support/records.ts'
import { until } from '../support/until.ts'

/* I3: a worker that lost its partition can neither write it again nor block it. */

let pipeline: Pipeline

before(async () => {
  pipeline = await Pipeline.start({ KAFKA_TOPIC_PARTITIONS: '1', ...quickTimeouts })
})
after(async () => {
  await pipeline?.close()
})

test('I3: the session of a sink frozen in a transaction is terminated by its successor, and it writes nothing when thawed', async () => {
  const frozen = await pipeline.startSink()
  await until('assigned', async () => isRunning(frozen))
  const lock = await blockWriters(pipeline)
  await send(0, 100)
  const backendPid = await sinkInTransaction(pipeline)
  await frozen.freeze()
  await lock.release()

  const successor = await pipeline.startSink()
  await until('the successor stores all', async () => (await pipeline.countEvents()) === 100, 60_000)
  const survivors = await pipeline.query('SELECT 1 FROM pg_stat_activity WHERE pid = $1', [backendPid])
  assert.equal(survivors.length, 0, "the frozen worker's session was ended")

  frozen.thaw()
  await send(100, 100)
  await until('stored', async () => (await pipeline.countEvents()) === 200, 60_000)
  await until('both are idle', async () => (await isRunning(frozen)) && (await isRunning(successor)), 60_000)
  const verdict = await pipeline.verify()
  assert.equal(verdict.ok, true, JSON.stringify(verdict))
  const dead = await pipeline.query('SELECT * FROM dead_letters')
  assert.deepEqual(dead, [])
})

async function send(from: number, count: number): Promise<void> {
  await withProducer(pipeline.backend.kafka.bootstrapServers, async (produce) => {
    await produce(
      Array.from({ length: count }, (_, index) => ({ value: record(from + index), partition: 0 })),
    )
  })
}

async function isRunning(sink: NodeService): Promise<boolean> {
  return (await sink.health())?.state === 'running'
}

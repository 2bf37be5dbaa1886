import assert from 'node:assert/strict'
import { after, beforeEach, afterEach, test } from 'node:test'
import type { NodeService } from '../../../embedded/node-service.ts'
import { Pipeline } from '../../../tools/stack/pipeline.ts'
import { record, withProducer } from '../../support/records.ts'
import { sinkCommand } from '../../support/sink-command.ts'
import { caughtUp, stopped, storedRows } from '../../support/sink-health.ts'
import { createTopic, deleteTopic, expireBefore, forgetAll } from '../../support/topic.ts'
import { until } from '../../support/until.ts'

/* I9: offsets that cannot be right stop their partition with a reason, or the gap is logged and counted; never skipped. */

const pipeline = await Pipeline.start({ KAFKA_TOPIC_PARTITIONS: '1' })
const { bootstrapServers } = pipeline.backend.kafka
let sink: NodeService

beforeEach(async () => {
  await forgetAll(pipeline)
  sink = await pipeline.startSink()
  await caughtUp(sink)
})
afterEach(async () => {
  await sink.stop(10_000)
})
after(async () => {
  await pipeline.close()
})

test('I9: a recreated, shorter topic stops the partition with a reason; none of its records is skipped or written', async () => {
  await send(0, 50)
  await storedRows(pipeline, 50)
  await sink.stop(10_000)
  await deleteTopic(bootstrapServers)
  await createTopic(bootstrapServers)
  await send(100, 10)
  sink.spawn()
  const { reason } = await stopped(sink)
  assert.match(reason ?? '', /ends at offset 10, but 50 was written.*npx firehose adopt/)
  assert.equal(await pipeline.countEvents(), 50)
})

test('adopt accepts the recreated topic; rewind reads again and stores nothing twice', async () => {
  await send(0, 10)
  await sendValue('junk')
  await deadLetters(1)
  await sink.stop(10_000)
  await deleteTopic(bootstrapServers)
  await createTopic(bootstrapServers)
  await send(100, 10)
  await sendValue('other junk')
  assert.match(await sinkCommand(pipeline.env, 'adopt'), /partition 0: from 11, next offset is now 0/)
  await sink.start()
  await storedRows(pipeline, 20)
  await deadLetters(2)
  await sink.stop(10_000)
  await pipeline.query('DELETE FROM events WHERE user_id = 107')
  assert.match(
    await sinkCommand(pipeline.env, 'rewind', '--to', '5'),
    /partition 0: from 11, next offset is now 5/,
  )
  await sink.start()
  await storedRows(pipeline, 20)
  const dead = await pipeline.query<{ offset: string; value: Buffer; earlier: boolean }>(
    `SELECT "offset", value, cluster_id LIKE '% until %' AS earlier FROM dead_letters ORDER BY earlier, "offset"`,
  )
  assert.deepEqual(
    dead.map((row) => [row.offset, row.value.toString(), row.earlier]),
    [
      ['10', 'other junk', false],
      ['10', 'junk', true],
    ],
    'both dead letters of offset 10 are kept',
  )
  await assert.rejects(
    sinkCommand(pipeline.env, 'rewind', '--to', '12'),
    /Nothing was moved: partition 0 ends at offset 11/,
  )
})

test('I9: a recreated topic that has grown past the old offsets is detected by its last record', async () => {
  await send(0, 50)
  await storedRows(pipeline, 50)
  await sink.stop(10_000)
  await deleteTopic(bootstrapServers)
  await createTopic(bootstrapServers)
  await send(100, 80)
  sink.spawn()
  const { reason } = await stopped(sink)
  assert.match(reason ?? '', /record at offset 49 is not the one that was written/)
  assert.equal(await pipeline.countEvents(), 50)
})

test('I9: a topic recreated while the sink runs stops the partition with a reason', async () => {
  await send(0, 50)
  await storedRows(pipeline, 50)
  await deleteTopic(bootstrapServers)
  await createTopic(bootstrapServers)
  await send(100, 80)
  await stopped(sink)
  assert.equal(await pipeline.countEvents(), 50)
})

test('I9: a topic written from another cluster stops with a reason', async () => {
  await send(0, 10)
  await storedRows(pipeline, 10)
  await sink.stop(10_000)
  await pipeline.query(`UPDATE sink_offsets SET cluster_id = 'another-cluster'`)
  sink.spawn()
  const { reason } = await stopped(sink)
  assert.match(reason ?? '', /was written from cluster another-cluster/)
})

test('I9: records that expired before they were read are logged and counted, and the rest is stored', async () => {
  await send(0, 10)
  await storedRows(pipeline, 10)
  await sink.stop(10_000)
  await send(10, 40)
  await expireBefore(bootstrapServers, 30)
  await sink.start()
  await storedRows(pipeline, 30)
  assert.equal((await caughtUp(sink)).total_expired, 20)
})

async function sendValue(value: string): Promise<void> {
  await withProducer(bootstrapServers, async (produce) => {
    await produce([{ value, partition: 0 }])
  })
}

async function deadLetters(count: number): Promise<void> {
  await until(
    `${count} dead letters`,
    async () => (await pipeline.query('SELECT 1 FROM dead_letters')).length === count,
  )
}

async function send(from: number, count: number): Promise<void> {
  await until('the topic accepts records', async () => {
    try {
      await withProducer(bootstrapServers, async (produce) => {
        await produce(
          Array.from({ length: count }, (_, index) => ({ value: record(from + index), partition: 0 })),
        )
      })
      return true
    } catch {
      return false // its leader is still being elected
    }
  })
}

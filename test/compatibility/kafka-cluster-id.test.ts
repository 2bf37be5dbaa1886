import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { freePorts } from '../../embedded/ports.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { startRewriter } from '../support/kafka-rewriter.ts'
import { record, withProducer } from '../support/records.ts'
import { runFirehose } from '../support/run-firehose.ts'
import { caughtUp, stopped, storedRows } from '../support/sink-health.ts'
import { withAdmin } from '../support/topic.ts'

/* A cluster that reports no id: a proxy takes it out of Kafka's responses. */

let clusterId: string | undefined
const [kafkaPort = 0] = await freePorts(1)
const proxy = await startRewriter(kafkaPort, (from, message) =>
  from === 'server' && clusterId !== undefined ? withoutId(message, clusterId) : message,
)
const pipeline = await Pipeline.start(
  { KAFKA_TOPIC_PARTITIONS: '1' },
  { kafkaPort, kafkaAdvertisedPort: proxy.port },
)
const { bootstrapServers } = pipeline.backend.kafka

after(async () => {
  await pipeline.close()
  await proxy.close()
})

test('I2: a cluster without an id gets one that stays, and one that reports its id later is adopted', async () => {
  const named = await withAdmin(bootstrapServers, async (admin) => await admin.describeCluster())
  clusterId = named.clusterId
  await pipeline.startApi() // creates the topic
  const sink = await pipeline.startSink()
  await send(record(1), record(2, { event_id: undefined }))
  await storedRows(pipeline, 2)
  assert.equal((await pipeline.verify()).ok, true)
  await sink.stop(10_000)
  await sink.start()
  await send(record(3))
  await storedRows(pipeline, 3)
  assert.deepEqual(await pipeline.query('SELECT cluster_id, next_offset FROM sink_offsets'), [
    { cluster_id: 'unnamed-cluster', next_offset: '3' },
  ])
  const doctor = await runFirehose(pipeline.env, 'doctor', '--check', 'kafka', '--check', 'offsets', '--json')
  assert.equal(JSON.parse(doctor.out).status, 'ok', doctor.out)

  await sink.stop(10_000)
  clusterId = undefined
  sink.spawn()
  const { partitions } = await stopped(sink)
  assert.match(partitions[0]?.stopped ?? '', /cluster.*npx firehose adopt/)
  const adopted = await runFirehose(pipeline.env, 'adopt')
  assert.equal(adopted.code, 0, adopted.out + adopted.err)
  const { total_duplicates } = await caughtUp(sink)
  assert.equal(total_duplicates, 2, 'the record without an id gets another one')
  await storedRows(pipeline, 4)
})

async function send(...values: string[]): Promise<void> {
  await withProducer(bootstrapServers, async (produce) => {
    await produce(values.map((value) => ({ value, partition: 0 })))
  })
}

/** The message with null in place of this id, if it is there. */
function withoutId(message: Buffer, id: string): Buffer {
  const at = message.indexOf(id)
  if (at < 2) return message
  return Buffer.concat([
    message.subarray(0, at - 2),
    Buffer.from([0xff, 0xff]),
    message.subarray(at + id.length),
  ])
}

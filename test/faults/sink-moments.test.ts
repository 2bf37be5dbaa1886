import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type ProxiedSink, startSink } from '../../tools/drill/embedded-stage.ts'
import type { Link } from '../../tools/drill/tcp-proxy.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { kafkaClient } from '../support/records.ts'
import { assertDrained, healthOf, range, sendEvents, SHORT_TIMEOUTS } from '../support/sink-faults.ts'
import { until } from '../support/until.ts'

/* I3: a worker is stopped, cut off or loses its partition at any moment of its transaction. */

const ROWS = 300
/** Large enough for several COPY chunks, so that a COPY can be stopped in the middle. */
const metadata = { padding: 'x'.repeat(1_000) }

let pipeline: Pipeline
let sinks: [ProxiedSink, ProxiedSink]
let sent = 0

before(async () => {
  pipeline = await Pipeline.start({ KAFKA_TOPIC_PARTITIONS: '1', ...SHORT_TIMEOUTS })
  sinks = [await startSink(pipeline, 'sink 1'), await startSink(pipeline, 'sink 2')]
  await stop(sinks[1])
})
after(async () => {
  await pipeline?.close()
  await Promise.all((sinks ?? []).map(async ({ proxy }) => await proxy.close()))
})

for (const [moment, where, isCommitted] of [
  ['within_copy', 'in the middle of COPY', false],
  ['before_commit', 'before COMMIT', false],
  ['before_commit_answer', 'between COMMIT and its answer', true],
] as const) {
  test(`I3: a sink frozen ${where} is replaced; thawed, it writes nothing, then works beside its successor`, async () => {
    const [zombie, successor] = sinks
    const link = await holdAt(zombie, moment)
    await zombie.freeze()
    assert.equal(await pipeline.countEvents(), isCommitted ? sent : sent - ROWS)
    await successor.start()
    await send()
    await until('the successor stores all', async () => (await pipeline.countEvents()) === sent, 90_000)

    await zombie.thaw()
    link.release() // data that was in flight when it froze arrives only now
    await send()
    await assertDrained(pipeline, zombie.service, successor.service)
    await assertStoredOnce(zombie, successor)
    await stop(successor)
  })
}

test('I3: the COMMIT is lost with its connection: the transaction is rolled back, and the retry stores it once', async () => {
  const [sink] = sinks
  const { total_stored } = await healthOf(sink.service)
  const link = await holdAt(sink, 'before_commit')
  link.cut()
  await assertDrained(pipeline, sink.service)
  assert.equal((await healthOf(sink.service)).total_stored - total_stored, ROWS)
  await assertStoredOnce(sink)
})

test('I3: only the answer to COMMIT is lost: the committed rows are not written again', async () => {
  const [sink] = sinks
  const { total_stored } = await healthOf(sink.service)
  const link = await holdAt(sink, 'before_commit_answer')
  assert.equal(await pipeline.countEvents(), sent, 'it is committed')
  link.cut()
  await send()
  await assertDrained(pipeline, sink.service)
  assert.equal((await healthOf(sink.service)).total_stored - total_stored, ROWS, 'only the second batch')
  await assertStoredOnce(sink)
})

test('I3: a second sink joins in the middle of a transaction: no row is lost or written twice', async () => {
  const [, second] = sinks
  await stop(sinks[0])
  const patient = await startSink(pipeline, 'sink 3', { DATABASE_TIMEOUT_MS: '20000' })
  try {
    const link = await holdAt(patient, 'within_copy')
    const joining = second.start()
    await until('the group wants to rebalance', async () => (await groupState()) === 'PreparingRebalance')
    assert.equal(link.closed.size, 0, 'the transaction is still open')
    link.release()
    await joining
    await send()
    await assertDrained(pipeline, patient.service, second.service)
    await assertStoredOnce(patient, second)
  } finally {
    await patient.kill()
    await patient.proxy.close()
  }
})

async function send(): Promise<void> {
  await sendEvents(pipeline, range(sent, ROWS), () => ({ metadata }))
  sent += ROWS
}

/** Sends a batch. @returns the sink's connection, held at this moment of the batch's transaction */
async function holdAt(sink: ProxiedSink, moment: string): Promise<Link> {
  await until('the sink reads', async () => (await healthOf(sink.service)).state === 'running')
  const held = sink.proxy.holdAt(moment, AbortSignal.timeout(60_000))
  await Promise.all([held, send()])
  return await held
}

async function stop(sink: ProxiedSink): Promise<void> {
  await sink.service.stop(10_000)
}

async function assertStoredOnce(...running: ProxiedSink[]): Promise<void> {
  assert.equal(await pipeline.countEvents(), sent)
  assert.deepEqual(await pipeline.query('SELECT * FROM dead_letters'), [])
  for (const { service } of running)
    assert.equal((await healthOf(service)).total_duplicates, 0, 'no stored record was read again')
}

async function groupState(): Promise<string | undefined> {
  const admin = kafkaClient(pipeline.backend.kafka.bootstrapServers).admin()
  await admin.connect()
  const { groups } = await admin.describeGroups([pipeline.groupId])
  await admin.disconnect()
  return groups[0]?.state
}

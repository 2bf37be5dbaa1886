import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { NodeService } from '../../embedded/node-service.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { checkOut, hasCommit } from '../support/checkout.ts'
import { idOf, record, withProducer } from '../support/records.ts'
import { ROOT } from '../support/run-firehose.ts'
import { SHORT_TIMEOUTS, assertDrained, postBatch, range } from '../support/sink-faults.ts'
import { until } from '../support/until.ts'

/*
 * An installation from before the optional fields is upgraded while events come in, in the order of docs/OPERATIONS.md:
 * migrate, sinks, APIs; and goes back: APIs, then sinks. The programs of before are those of an earlier commit.
 */

/** The last commit before the optional fields. */
const BEFORE = 'ab51c581403056067c1c4ca80d9fdad0bddab9f7'
const isThere = hasCommit(BEFORE)
const skip = !isThere && `this clone has no commit ${BEFORE} (git fetch --unshallow)`

let old: string
let remove = (): void => {}
let pipeline: Pipeline
let sent = 0
let oldSinkAgain: NodeService
let sink: NodeService

before(async () => {
  if (!isThere) return
  ;({ dir: old, remove } = checkOut(BEFORE))
  pipeline = await Pipeline.start({ KAFKA_TOPIC_PARTITIONS: '2', ...SHORT_TIMEOUTS })
  await pipeline.query(
    'DROP TABLE events, sink_offsets, dead_letters, dead_letter_history, firehose_migrations',
  )
})
after(async () => {
  await pipeline?.close()
  remove()
})

function migrate(dir: string): void {
  execFileSync(join(dir, 'firehose'), ['migrate'], { cwd: dir, env: pipeline.env })
}

const startApi = async (dir: string): Promise<NodeService> =>
  await pipeline.startService(join(dir, 'producer-api/main.ts'), 'PORT')
const startSink = async (dir: string): Promise<NodeService> =>
  await pipeline.startService(join(dir, 'sink-worker/main.ts'), 'SINK_PORT')

const NEW = { event_name: 'n', session_id: 's', source: 'x', event_type: 't', anonymous_id: 'a' }

/** Sends 20 events, and returns when they are stored. */
async function send(api: NodeService, more: object = {}): Promise<void> {
  const events = range(sent, 20).map((n) => ({
    event_id: idOf(n),
    user_id: n,
    timestamp: '2026-01-02T03:04:05Z',
    metadata: { n },
    ...more,
  }))
  sent += events.length
  await postBatch(api, events)
  await until('stored', async () => (await pipeline.countEvents()) === sent)
}

test('migrate, sinks, APIs, and back again: every event is stored, and none is dead-lettered', {
  skip,
}, async () => {
  migrate(old)
  const [oldApi, oldSink] = [await startApi(old), await startSink(old)]
  await send(oldApi)
  migrate(ROOT)
  await send(oldApi)
  const newSink = await startSink(ROOT)
  await send(oldApi)
  await oldSink.stop(20_000)
  await send(oldApi)
  const newApi = await startApi(ROOT)
  await send(newApi, NEW)
  await send(oldApi)
  await send(newApi, { ...NEW, user_id: null })
  await oldApi.stop(20_000)
  await send(newApi)
  const named = await pipeline.query(
    'SELECT DISTINCT event_name, session_id, source, event_type, anonymous_id FROM events WHERE event_name IS NOT NULL',
  )
  assert.deepEqual(named, [NEW])
  await assertDrained(pipeline, newSink)

  // Back, in the opposite order: nothing with the fields may be left in the topic when the sinks go back.
  const oldApiAgain = await startApi(old)
  await send(oldApiAgain)
  await newApi.stop(20_000)
  await newSink.stop(20_000)
  oldSinkAgain = await startSink(old)
  await send(oldApiAgain)
  assert.deepEqual(await pipeline.query('SELECT FROM dead_letters'), [])
  await assertDrained(pipeline, oldSinkAgain)
})

test('a sink from before stores what an API of this version writes, if it has none of the new fields', {
  skip,
}, async () => {
  const api = await startApi(ROOT)
  await send(api)
  await oldSinkAgain.stop(20_000)
  sink = await startSink(ROOT)
  await send(api, NEW)
  await assertDrained(pipeline, sink)
})

test('a sink from before ignores the label of a key; the event sent again with another key is a duplicate', {
  skip,
}, async () => {
  const id = sent
  const labelled = async (key_label: string, received_at: string): Promise<void> => {
    const { metadata, ...rest } = JSON.parse(record(id, { received_at, key_label }))
    const value = JSON.stringify({ ...rest, metadata })
    await withProducer(pipeline.backend.kafka.bootstrapServers, async (produce) => {
      await produce([{ value, partition: 0 }])
    })
  }
  await sink.stop(20_000)
  const sinkBefore = await startSink(old)
  await labelled('shop', '2026-01-02T03:04:06.000000Z')
  sent += 1
  await until('stored', async () => (await pipeline.countEvents()) === sent)
  await sinkBefore.stop(20_000)
  sink = await startSink(ROOT)
  await labelled('app', '2026-01-02T03:04:07.000000Z')
  await until('a duplicate', async () => (await sink.health())?.total_duplicates === 1)
  const rows = await pipeline.query('SELECT source FROM events WHERE event_id = $1', [idOf(id)])
  assert.deepEqual(rows, [{ source: null }])
  const { ok, changed, dead } = await pipeline.verify()
  assert.deepEqual({ ok, changed, dead }, { ok: true, changed: 1, dead: 0 })
})

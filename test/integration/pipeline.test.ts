import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { NodeService } from '../../embedded/node-service.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { kafkaClient } from '../support/records.ts'
import { until } from '../support/until.ts'

/* From POST to row, through the whole pipeline. */

let pipeline: Pipeline
let api: NodeService
let sink: NodeService

before(async () => {
  pipeline = await Pipeline.start({ KAFKA_SESSION_TIMEOUT_MS: '2000' })
  api = await pipeline.startApi()
  sink = await pipeline.startSink()
})
after(async () => {
  await pipeline?.close()
})

async function post(path: string, body: string, type = 'application/json'): Promise<Response> {
  return await fetch(api.url + path, { method: 'POST', headers: { 'content-type': type }, body })
}

async function postEvent(metadata = '{}'): Promise<string> {
  const body = `{"user_id":-9007199254740993,"timestamp":"2026-03-04T05:06:07.1234567+01:00","metadata":${metadata}}`
  const response = await post('/event', body)
  assert.equal(response.status, 202)
  return ((await response.json()) as { event_id: string }).event_id
}

async function stored(id: string): Promise<boolean> {
  return (await pipeline.query('SELECT 1 FROM events WHERE event_id = $1', [id])).length === 1
}

test('I4: a stored event equals what PostgreSQL itself reads from the sent text', async () => {
  for (const metadata of [
    '{"big":123456789012345678901234567890,"huge":1e400,"exact":0.10,"a":1,"a":2}',
    '{ "text" : "caf\\u00e9 \\ud83d\\ude00 \\"q\\" \\/", "nested":[[{"deep":[null,true,false]}]], "":{} }',
  ]) {
    const id = await postEvent(metadata)
    await until('stored', async () => await stored(id))
    const [row] = await pipeline.query(
      `SELECT user_id, "timestamp" = '2026-03-04T05:06:07.123456+01:00' AS same_time, metadata = $2::jsonb AS same_metadata,
         metadata::text = ($2::jsonb)::text AS same_text, now() - received_at BETWEEN '0' AND '1 minute' AS received_now
       FROM events WHERE event_id = $1`,
      [id, metadata],
    )
    assert.deepEqual(row, {
      user_id: '-9007199254740993',
      same_time: true,
      same_metadata: true,
      same_text: true,
      received_now: true,
    })
  }
})

test('a batch of 1,000 lines becomes 1,000 rows, and a refused batch leaves nothing', async () => {
  const line = (n: number): string =>
    `{"user_id":${n},"timestamp":"2026-03-04T05:06:07Z","metadata":{"batch":true}}`
  const lines = Array.from({ length: 1_000 }, (_, n) => line(n))
  const refused = await post(
    '/events',
    [...lines.slice(1), '{"user_id":1}'].join('\n'),
    'application/x-ndjson',
  )
  assert.equal(refused.status, 422)
  const accepted = await post('/events', lines.join('\r\n'), 'application/x-ndjson')
  assert.equal(accepted.status, 202)
  const { event_ids } = (await accepted.json()) as { event_ids: string[] }
  const last = await postEvent()
  await until('stored', async () => (await stored(last)) && (await stored(event_ids[999] ?? '')))
  const rows = await pipeline.query(
    `SELECT event_id FROM events WHERE metadata = '{"batch":true}' ORDER BY user_id`,
  )
  assert.deepEqual(
    rows.map((row) => row.event_id as string),
    event_ids,
  )
})

test('the offset committed to Kafka follows, as a hint for lag monitoring', async () => {
  const id = await postEvent()
  await until('stored', async () => await stored(id))
  const admin = kafkaClient(pipeline.backend.kafka.bootstrapServers).admin()
  await admin.connect()
  await until('the offset in Kafka equals the one in PostgreSQL', async () => {
    const [{ partitions } = { partitions: [] }] = await admin.fetchOffsets({
      groupId: pipeline.groupId,
      topics: ['events'],
    })
    const truth = await pipeline.query<{ partition: number; next_offset: string }>(
      'SELECT partition, next_offset FROM sink_offsets WHERE last_offset IS NOT NULL',
    )
    const hints = new Map(partitions.map(({ partition, offset }) => [partition, offset]))
    return truth.every(({ partition, next_offset }) => hints.get(partition) === next_offset)
  })
  await admin.disconnect()
})

test('the sink reports its health, readiness and metrics', async () => {
  const id = await postEvent()
  await until('stored', async () => await stored(id))
  const health = (await sink.health()) as {
    state: string
    partitions: { lag: number }[]
    total_stored: number
  }
  assert.equal(health.state, 'running')
  assert.equal(health.partitions.length, 4)
  assert.equal(health.total_stored, await pipeline.countEvents())
  assert.equal((await fetch(`${sink.url}/livez`)).status, 200)
  const metrics = await (await fetch(`${sink.url}/metrics`)).text()
  assert.match(metrics, new RegExp(`^firehose_sink_stored_total ${health.total_stored}$`, 'm'))
  assert.match(metrics, /^firehose_sink_lag\{partition="3"\} 0$/m)
})

test('neither service ends when the broker dies and comes back', async () => {
  const pids = [api.pid, sink.pid]
  await pipeline.backend.kafka.kill()
  await pipeline.backend.kafka.start()
  const id = await until(
    'accepted again',
    async () => {
      const response = await post('/event', '{"user_id":1,"timestamp":"2026-03-04T05:06:07Z","metadata":{}}')
      return response.status === 202 ? ((await response.json()) as { event_id: string }).event_id : undefined
    },
    60_000,
  )
  await until('stored', async () => await stored(id), 60_000)
  assert.deepEqual([api.pid, sink.pid], pids)
})

test('a sink that starts while PostgreSQL is down waits, then stores', async () => {
  await sink.stop(10_000)
  await pipeline.backend.postgres.stop()
  sink.spawn()
  const id = await postEvent()
  const health = await until('the sink reports why it waits', async () => {
    const now = await sink.health()
    return now?.state === 'paused' ? now : undefined
  })
  assert.match(String(health.reason), /ECONNREFUSED/)
  assert.equal((await fetch(`${sink.url}/readyz`)).status, 503)
  await pipeline.backend.postgres.start()
  await until('stored', async () => await stored(id))
  assert.equal((await pipeline.verify()).ok, true)
})

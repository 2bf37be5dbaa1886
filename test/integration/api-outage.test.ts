import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import kafkajs from 'kafkajs'
import type { NodeService } from '../../embedded/node-service.ts'
import { load } from '../../tools/load/load.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { type Problem, problemOf } from '../support/http.ts'
import { idOf, kafkaClient } from '../support/records.ts'
import { repeatSignals } from '../support/signals.ts'
import { until } from '../support/until.ts'

/* The API while Kafka is down, frozen or without the topic, and at shutdown. It must recover without a restart. */

const ENV = { DELIVERY_TIMEOUT_MS: '2000', BUFFER_MAX_BYTES: String(4 * 1024 * 1024) }
let pipeline: Pipeline
let api: NodeService

before(async () => {
  pipeline = await Pipeline.start()
  api = await pipeline.startApi(ENV)
})
after(async () => {
  await pipeline?.close()
})

const post = (n: number, path = '/event') => {
  const event = { event_id: idOf(n), user_id: 1, timestamp: '2025-01-31T12:00:00Z', metadata: {} }
  const body = JSON.stringify(path === '/events' ? [event, { ...event, event_id: idOf(n + 1) }] : event)
  return fetch(api.url + path, { method: 'POST', body, headers: { 'Content-Type': 'application/json' } })
}
const readiness = async (): Promise<{ status: number; reason?: string }> => {
  const response = await fetch(`${api.url}/readyz`)
  return { ...((await response.json()) as { reason?: string }), status: response.status }
}
const ready = () => until('readiness', async () => (await readiness()).status === 200)
const unready = (reason: RegExp) =>
  until(`${reason} from /readyz`, async () => {
    const now = await readiness()
    return now.status === 503 && reason.test(now.reason ?? '')
  })

async function unavailable(response: Response, outcome: string, ids: string[]): Promise<Problem> {
  assert.match(response.headers.get('retry-after') ?? '', /^[1-9]\d*$/)
  const kind = outcome === 'unknown' ? 'outcome-unknown' : 'not-accepted'
  const problem = await problemOf(response, 503, kind)
  assert.equal(problem.outcome, outcome)
  assert.deepEqual(problem.event_ids, ids)
  return problem
}

test('the topic is created as configured: partitions, retention, not compacted', async () => {
  const admin = kafkaClient(pipeline.backend.kafka.bootstrapServers).admin()
  await admin.connect()
  try {
    const [topic] = (await admin.fetchTopicMetadata({ topics: ['events'] })).topics
    assert.equal(topic?.partitions.length, 4)
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: [
        {
          type: kafkajs.ConfigResourceTypes.TOPIC,
          name: 'events',
          configNames: ['cleanup.policy', 'retention.ms'],
        },
      ],
    })
    const values = resources[0]?.configEntries.map((entry) => entry.configValue)
    assert.deepEqual(values?.toSorted(), ['604800000', 'delete'])
  } finally {
    await admin.disconnect()
  }
})

test('Kafka down: 503 not_accepted with the ids at the deadline; Kafka up: 202 without a restart', async () => {
  const records = async () => (await pipeline.ends()).reduce((sum, end) => sum + end, 0n)
  const earlier = await records()
  await pipeline.backend.kafka.kill()
  await unavailable(await post(1), 'not_accepted', [idOf(1)])
  await unavailable(await post(2, '/events'), 'not_accepted', [idOf(2), idOf(3)])
  await unready(/unreachable/)
  assert.equal((await fetch(`${api.url}/livez`)).status, 200)
  await pipeline.backend.kafka.start()
  await ready()
  assert.equal((await post(4)).status, 202)
  assert.equal((await records()) - earlier, 1n, 'what was not accepted is in Kafka')
})

test('I8: events waiting for Kafka at SIGTERM are accepted if Kafka is back in time', async () => {
  const patient = await pipeline.startApi({ DELIVERY_TIMEOUT_MS: '60000', SHUTDOWN_TIMEOUT_MS: '70000' })
  await pipeline.backend.kafka.kill()
  const loaded = load({ url: patient.url, rate: 60, connections: 100, seconds: 1, timeoutMs: 60_000 })
  await until('waiting events', async () => (await patient.health())?.queue_size === 60)
  const { exited } = patient
  const stopped = patient.stop(60_000)
  await until('the drain', () => patient.lastLines().some((line) => line.includes('shutting down')))
  await pipeline.backend.kafka.start()
  const { acked, errors } = await loaded
  assert.deepEqual({ acked, errors }, { acked: 60, errors: {} })
  assert.equal(await stopped, false)
  assert.deepEqual(await exited, { code: 0, signal: null })
  await ready()
})

test('Kafka frozen: 503 unknown with the ids for events that were sent; unfrozen: 202', async () => {
  await pipeline.backend.kafka.freeze()
  await unavailable(await post(5, '/events'), 'unknown', [idOf(5), idOf(6)])
  await pipeline.backend.kafka.thaw()
  await until('an accepted event', async () => (await post(7)).status === 202)
  await ready()
})

test('I7: a full buffer refuses at once with the reason; its memory is released later', async () => {
  await pipeline.backend.kafka.freeze()
  const answers = await Promise.all(Array.from({ length: 400 }, (_, n) => post(100 + n)))
  const refused = []
  for (const [n, answer] of answers.entries()) {
    const { detail, outcome } = (await answer.json()) as Problem
    if (/buffer is full/.test(detail)) refused.push({ n, outcome })
  }
  assert.ok(refused.length > 100 && refused.length < 300, `${refused.length} refused`)
  assert.ok(refused.every(({ outcome }) => outcome === 'not_accepted'))
  await pipeline.backend.kafka.thaw()
  await until('an empty buffer', async () => (await api.health())?.queue_bytes === 0)
  await ready()
})

test('Kafka down at the start: the API listens, is not ready, and becomes ready without a restart', async () => {
  assert.equal(await api.stop(10_000), false)
  await pipeline.backend.kafka.stop()
  api.spawn()
  await until('the API', async () => (await fetch(`${api.url}/livez`).catch(() => undefined))?.status === 200)
  await unready(/unreachable/)
  await unavailable(await post(8), 'not_accepted', [idOf(8)])
  await pipeline.backend.kafka.start()
  await ready()
  assert.equal((await post(9)).status, 202)
})

test('I8: SIGTERM under load: all accepted requests are answered, and the API exits with 0 within seconds', async () => {
  const stopLoad = new AbortController()
  const acceptedBefore = Number((await api.health())?.total_accepted)
  const running = load({ url: api.url, rate: 2_000, connections: 50, seconds: 30, signal: stopLoad.signal })
  await until('load', async () => Number((await api.health())?.total_accepted) > 2_000)
  const exit = api.exited
  const start = performance.now()
  assert.equal(await api.stop(10_000), false)
  assert.ok(performance.now() - start < 8_000)
  assert.deepEqual(await exit, { code: 0, signal: null })
  stopLoad.abort()
  const { acked, unknown } = await running
  const last = JSON.parse(api.lastLines().findLast((line) => line.includes('"stopped"')) ?? '{}')
  assert.equal(last.accepted - acceptedBefore, acked, 'the API accepted events whose clients got no response')
  assert.ok(unknown <= 50, `${unknown} requests without an answer`)
  await api.start()
})

test('I8: a second signal ends a hanging drain', async () => {
  await pipeline.backend.kafka.freeze()
  const answer = post(10).catch(() => undefined)
  await until('the event', async () => (await api.health())?.queue_size === 1)
  const { exited } = api
  process.kill(api.pid ?? 0, 'SIGTERM')
  await until('the drain', () => api.lastLines().some((line) => line.includes('shutting down')))
  const stopSignals = repeatSignals(api.pid ?? 0, ['SIGTERM'])
  assert.deepEqual(await exited, { code: 1, signal: null })
  stopSignals()
  assert.ok(api.lastLines().some((line) => line.includes('another signal received; exiting immediately')))
  await answer
  await pipeline.backend.kafka.thaw()
  await api.start()
})

test('I9: a deleted topic is not created again; the API reports it until the topic exists', async () => {
  assert.equal((await post(11)).status, 202)
  const admin = kafkaClient(pipeline.backend.kafka.bootstrapServers).admin()
  await admin.connect()
  try {
    await admin.deleteTopics({ topics: ['events'] })
    assert.equal((await post(12)).status, 503)
    await unready(/topic events was deleted/)
    assert.ok(api.lastLines().some((line) => line.includes('"error"') && line.includes('was deleted')))
    await unavailable(await post(13), 'not_accepted', [idOf(13)])
    assert.ok(!(await admin.listTopics()).includes('events'))
    await admin.createTopics({ topics: [{ topic: 'events', numPartitions: 2 }] })
    await ready()
    assert.equal((await post(14)).status, 202)
  } finally {
    await admin.disconnect()
  }
})

import assert from 'node:assert/strict'
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import kafkajs, { type Admin } from 'kafkajs'
import type { NodeService } from '../../embedded/node-service.ts'
import { freePorts } from '../../embedded/ports.ts'
import { KafkaTap } from '../../tools/drill/kafka-tap.ts'
import { TcpProxy } from '../../tools/drill/tcp-proxy.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { describeTopic, readTopic, type TopicRecord } from '../../kafka/topic-reader.ts'
import { type Problem, problemOf } from '../support/http.ts'
import { metricOf } from '../support/metrics.ts'
import { idOf, kafkaClient } from '../support/records.ts'
import { until } from '../support/until.ts'

/* Faults of Kafka, produced by a proxy between it and the API. For outages see test/integration/api-outage.test.ts. */

const DEADLINE_MS = 2_000
const place = mkdtempSync(join(tmpdir(), 'firehose-log-dir-'))
const secondLogDir = join(place, 'logs')
let proxy: TcpProxy
let pipeline: Pipeline
let api: NodeService
let admin: Admin

before(async () => {
  const [kafkaPort = 0] = await freePorts(1)
  proxy = await TcpProxy.start({ host: '127.0.0.1', port: kafkaPort }, () => new KafkaTap())
  const options = { kafkaPort, kafkaAdvertisedPort: proxy.port, kafkaSecondLogDir: secondLogDir }
  pipeline = await Pipeline.start({ DELIVERY_TIMEOUT_MS: String(DEADLINE_MS) }, options)
  api = await pipeline.startApi()
  await pipeline.startSink()
  admin = kafkaClient(pipeline.backend.kafka.bootstrapServers).admin()
  await admin.connect()
})
after(async () => {
  await admin?.disconnect()
  await pipeline?.close()
  await proxy?.close()
  rmSync(place, { recursive: true, force: true })
})

const event = (n: number, padBytes = 0) => ({
  event_id: idOf(n),
  user_id: n,
  timestamp: '2025-01-31T12:00:00Z',
  metadata: { pad: 'x'.repeat(padBytes) },
})
const post = (body: object, to = api) =>
  fetch(`${to.url}${Array.isArray(body) ? '/events' : '/event'}`, {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'Content-Type': 'application/json' },
  })
const apiLinks = () => proxy.links('firehose-api')
const delayBy = (ms: number): void => {
  for (const link of apiLinks()) link.delayMs = ms
}
const readiness = async (): Promise<string> => {
  const answer = (await (await fetch(`${api.url}/readyz`)).json()) as { status: string; reason?: string }
  return answer.reason ?? answer.status
}
const ready = () => until('readiness', async () => (await readiness()) === 'ok')
const emptied = () => until('an empty buffer', async () => (await api.health())?.queue_bytes === 0)

/** How often the event is in Kafka and in the table, after the sink has caught up. */
async function copiesOf(n: number): Promise<{ inKafka: number; stored: number }> {
  await until('the sink has caught up', async () => await pipeline.isCaughtUp())
  const sink = await pipeline.query<{ stored: string }>(
    'SELECT count(*) AS stored FROM events WHERE event_id = $1',
    [idOf(n)],
  )
  return { inKafka: await recordsOf(idOf(n)), stored: Number(sink[0]?.stored) }
}

/** Number of records in the topic with this id. */
async function recordsOf(id: string): Promise<number> {
  const access = { brokers: [pipeline.backend.kafka.bootstrapServers] }
  const { partitions } = await describeTopic(access, 'events')
  let found = 0
  const count = async (records: TopicRecord[]): Promise<void> => {
    found += records.filter(({ value }) => value?.includes(id)).length
  }
  assert.deepEqual(await readTopic(access, 'events', partitions, { onRecords: count, stuckMs: 20_000 }), [])
  return found
}

test('I1: Kafka answers 600 ms late: the client gets its 202 with that delay', async () => {
  delayBy(300)
  const start = performance.now()
  const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => post(event(n))))
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([202]))
  assert.ok(performance.now() - start >= 600, 'there was no delay')
  delayBy(0)
})

test('I2: Kafka answers after the deadline: 503 unknown with the id in time; after a retry 202, stored once', async () => {
  delayBy(DEADLINE_MS)
  const start = performance.now()
  const problem = await problemOf(await post(event(100)), 503, 'outcome-unknown')
  assert.ok(performance.now() - start < DEADLINE_MS + 1_500)
  assert.deepEqual([problem.outcome, problem.event_ids], ['unknown', [idOf(100)]])
  delayBy(0)
  assert.equal((await post(event(100))).status, 202)
  await emptied()
  assert.deepEqual(await copiesOf(100), { inKafka: 2, stored: 1 })
})

test('I2: a produce response is lost with its connection: the client gets 202, and the event is stored once', async () => {
  const held = proxy.holdAt('before_produce_answer', AbortSignal.timeout(10_000))
  const answer = post(event(101))
  const link = await held
  link.cut()
  assert.equal((await answer).status, 202)
  assert.ok(link.client.startsWith('firehose-api'))
  assert.deepEqual(await copiesOf(101), { inKafka: 2, stored: 1 })
})

test('I2: a connection to Kafka goes silent: 503 unknown, and 202 again after it is closed', async () => {
  const held = proxy.holdAt('before_produce_answer', AbortSignal.timeout(10_000))
  const answer = await post(event(102))
  await problemOf(answer, 503, 'outcome-unknown')
  const link = await held
  link.cut()
  await until('a 202', async () => (await post(event(102))).status === 202)
  await emptied()
  assert.equal((await copiesOf(102)).stored, 1)
})

test('I6: the limit of the topic is below that of the API: 413 for an event that is too large, 202 for others, no endless retries', async () => {
  await limitMessages('20000')
  const sendsBefore = await metricOf(api, 'firehose_api_kafka_sends_total')
  const small = Array.from({ length: 200 }, (_, n) => post(event(200 + n, 1_000)))
  const large = post(event(400, 60_000))
  const batch = post(Array.from({ length: 100 }, (_, n) => event(500 + n, 1_000)))
  for (const answer of [await large, await batch]) {
    const { detail } = await problemOf(answer, 413, 'too-large')
    assert.match(detail, /larger than the largest message that Kafka accepts/)
  }
  const statuses = (await Promise.all(small)).map(({ status }) => status)
  assert.deepEqual(new Set(statuses), new Set([202]))
  const sends = (await metricOf(api, 'firehose_api_kafka_sends_total')) - sendsBefore
  assert.ok(sends < 300, `${sends} sends`)
  assert.equal(await metricOf(api, 'firehose_api_events_rejected_total{reason="too_large_for_kafka"}'), 101)
  const told = api.lastLines().filter((line) => line.includes('MESSAGE_TOO_LARGE'))
  assert.match(told[0] ?? '', /raise max\.message\.bytes of topic events, or lower BATCH_MAX_BYTES/)
  await limitMessages('1048588')
  await until('a 202', async () => (await post(event(400, 60_000))).status === 202)
  assert.deepEqual(await copiesOf(400), { inKafka: 1, stored: 1 })
  assert.deepEqual(await copiesOf(200), { inKafka: 1, stored: 1 })
  assert.deepEqual(await copiesOf(500), { inKafka: 0, stored: 0 })
})

test('I1: one of two log directories of the broker fails: 503 not_accepted while a partition has no leader, then 202', async () => {
  const others = Array.from({ length: 6 }, (_, n) => `other-${n}`)
  await admin.createTopics({ topics: others.map((topic) => ({ topic, numPartitions: 1 })) })
  await pipeline.backend.kafka.stop()
  renameSync(secondLogDir, `${secondLogDir}.away`)
  writeFileSync(secondLogDir, '')
  await pipeline.backend.kafka.start()
  // Until its next check, the API uses the partitions that it knows, and some of them have a leader.
  await until('the reason', async () => /There is no leader for this topic-partition/.test(await readiness()))
  const refused = await post(event(600))
  assert.match(refused.headers.get('retry-after') ?? '', /^[1-9]\d*$/)
  assert.equal((await problemOf(refused, 503, 'not-accepted')).outcome, 'not_accepted')
  assert.equal((await fetch(`${api.url}/livez`)).status, 200)

  // An API for another topic of the cluster, which has a leader, is not affected.
  const healthy = await until('a topic with a leader', async () => await firstWithLeader(others))
  const other = await pipeline.startApi({ KAFKA_TOPIC: healthy })
  assert.equal((await post(event(601), other)).status, 202)
  await other.stop(10_000)

  await pipeline.backend.kafka.stop()
  rmSync(secondLogDir)
  // The broker may have created the newest topics again in the other directory, and rejects duplicates.
  for (const name of others) rmSync(`${secondLogDir}.away/${name}-0`, { recursive: true, force: true })
  renameSync(`${secondLogDir}.away`, secondLogDir)
  await pipeline.backend.kafka.start()
  await ready()
  assert.equal((await post(event(600))).status, 202)
  assert.deepEqual(await copiesOf(600), { inKafka: 1, stored: 1 })
})

test('I9: the topic is deleted under load: 202 or 503, nothing else; it is not created again, even after a restart of Kafka', async (t) => {
  const answers = new Map<string, number>()
  const stop = new AbortController()
  t.after(() => stop.abort())
  const clients = Array.from({ length: 10 }, async (_, client) => {
    for (let n = 0; !stop.signal.aborted; n++) {
      const answer = await post(event(10_000 + client * 10_000 + n))
      const { type = '' } = (await answer.json()) as Partial<Problem>
      const key = `${answer.status} ${type}`
      answers.set(key, (answers.get(key) ?? 0) + 1)
    }
  })
  await until('load', () => (answers.get('202 ') ?? 0) > 100)
  await admin.deleteTopics({ topics: ['events'] })
  await until('the loss is reported', async () => /topic events was deleted/.test(await readiness()))
  await pipeline.backend.kafka.stop()
  await pipeline.backend.kafka.start()
  await until('the loss is reported', async () => /topic events was deleted/.test(await readiness()))
  stop.abort()
  await Promise.all(clients)
  const allowed = ['202 ', '503 /problems/not-accepted', '503 /problems/outcome-unknown']
  assert.deepEqual(
    [...answers.keys()].filter((key) => !allowed.includes(key)),
    [],
  )
  assert.ok(!(await admin.listTopics()).includes('events'))
  await emptied()
  await admin.createTopics({ topics: [{ topic: 'events', numPartitions: 2 }] })
  await ready()
  assert.equal((await post(event(700))).status, 202)
})

async function limitMessages(bytes: string): Promise<void> {
  const configEntries = [{ name: 'max.message.bytes', value: bytes }]
  await admin.alterConfigs({
    validateOnly: false,
    resources: [{ type: kafkajs.ConfigResourceTypes.TOPIC, name: 'events', configEntries }],
  })
}

async function firstWithLeader(topics: string[]): Promise<string | undefined> {
  for (const topic of topics) {
    const found = await admin.fetchTopicMetadata({ topics: [topic] }).catch(() => undefined)
    if (found !== undefined) return topic
  }
  return undefined
}

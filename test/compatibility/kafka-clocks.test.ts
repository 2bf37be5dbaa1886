import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import kafkajs from 'kafkajs'
import type { NodeService } from '../../embedded/node-service.ts'
import { freePorts } from '../../embedded/ports.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { diagnose, textOf } from '../support/diagnosis.ts'
import { startRewriter } from '../support/kafka-rewriter.ts'
import { metricOf } from '../support/metrics.ts'
import { idOf, kafkaClient, record, withProducer } from '../support/records.ts'
import { runFirehose } from '../support/run-firehose.ts'
import { storedRows } from '../support/sink-health.ts'
import { configureTopic, createTopic, forgetAll, withAdmin } from '../support/topic.ts'
import { until } from '../support/until.ts'

/*
 * An API whose clock is eight days behind, and Kafka's retention of seven. Kafka looks for expired records several times
 * a second here. A proxy changes the name of one setting, so that Kafka refuses it, as some clusters do.
 */

const DAY_S = 86_400
const BEHIND_S = 8 * DAY_S
/** Sets back the clock of a service, and nothing else of it. */
const BEHIND = {
  NODE_OPTIONS: `--import=data:text/javascript,{const%20now=Date.now;Date.now=()=>now()-${BEHIND_S}e3}`,
}
const EVENTS = 3

let isRefused = false
const [kafkaPort = 0] = await freePorts(1)
const proxy = await startRewriter(kafkaPort, (from, message) =>
  from === 'client' && isRefused ? renamed(message) : message,
)
const pipeline = await Pipeline.start(
  { KAFKA_TOPIC_PARTITIONS: '1' },
  {
    kafkaPort,
    kafkaAdvertisedPort: proxy.port,
    kafkaSettings: { 'log.retention.check.interval.ms': '250', 'log.initial.task.delay.ms': '250' },
  },
)
const { bootstrapServers } = pipeline.backend.kafka

after(async () => {
  await pipeline.close()
  await proxy.close()
})

test('I2: what an API accepts whose clock is eight days behind stays in Kafka, on a topic that it made', async (t) => {
  await forgetAll(pipeline)
  const api = await startApi(t)
  assert.equal(await topicConfig('message.timestamp.type'), 'LogAppendTime')
  await send(api, 202)
  await expireControl()
  assert.deepEqual(await ends(), { low: '0', high: String(EVENTS) })

  const sink = await pipeline.startSink()
  t.after(async () => await sink.stop(10_000))
  await storedRows(pipeline, EVENTS)
  for (const bound of ['min', 'max']) {
    const delay = await metricOf(sink, `firehose_sink_append_delay_${bound}_seconds`)
    assert.ok(Math.abs(delay - BEHIND_S) < 60, `${bound} ${delay}`)
  }
  const { findings } = await diagnose(pipeline.env, ['--api', api.url, '--sink', sink.url])
  assert.match(
    textOf(findings, 'clocks'),
    /8 days after their received_at: the clock of an API is behind Kafka's/,
  )
  assert.match(textOf(findings, 'retention'), /^Kafka keeps events for 7 days/)
})

test("a foreign record's received_at, and --to-time, mean when Kafka appended the record", async (t) => {
  await forgetAll(pipeline)
  const sink = await pipeline.startSink()
  t.after(async () => await sink.stop(10_000))
  const timestamp = String(Date.now() - BEHIND_S * 1_000)
  await withProducer(bootstrapServers, async (produce) => {
    await produce([{ value: record(1, { received_at: undefined }), partition: 0, timestamp }])
  })
  await storedRows(pipeline, 1)
  const [row] = await pipeline.query<{ age: number }>(
    'SELECT extract(epoch FROM now() - received_at)::float AS age FROM events WHERE event_id = $1',
    [idOf(1)],
  )
  assert.ok(Math.abs(row?.age ?? BEHIND_S) < 60, `${row?.age} s`)
  const anHourAgo = new Date(Date.now() - 3_600_000).toISOString()
  const { out } = await runFirehose(pipeline.env, 'rewind', '--to-time', anHourAgo, '--dry-run')
  assert.match(out, /partition 0: from 1, next offset would be 0/)
})

test('on a topic with the times of its producers, the doctor warns, and its remedy keeps the events', async (t) => {
  await forgetAll(pipeline)
  await createTopic(bootstrapServers, 1)
  const api = await startApi(t)
  await send(api, 202)
  await until('acknowledged events are deleted', async () => (await ends()).low === String(EVENTS))
  await applyRemedy(/--add-config (message\.timestamp\.type)=(LogAppendTime)/)
  await send(api, 202)
  await expireControl()
  assert.deepEqual(await ends(), { low: String(EVENTS), high: String(2 * EVENTS) })
})

test('where Kafka refuses the setting, the topic is made without it, with a warning; the other remedy refuses the events', async (t) => {
  await forgetAll(pipeline)
  isRefused = true
  t.after(() => {
    isRefused = false
  })
  const api = await startApi(t)
  assert.match(
    api.lastLines().join('\n'),
    /"level":"warn".*Kafka refuses message\.timestamp\.type=LogAppendTime, so the topic was created without it/,
  )
  assert.equal(await topicConfig('message.timestamp.type'), 'CreateTime')
  assert.equal(await topicConfig('retention.ms'), String(7 * DAY_S * 1_000))
  await applyRemedy(/(message\.timestamp\.before\.max\.ms)=(\d+)/)
  await send(api, 503)
  assert.deepEqual(await ends(), { low: '0', high: '0' })
})

async function startApi(t: { after: (work: () => Promise<void>) => void }): Promise<NodeService> {
  const api = await pipeline.startApi(BEHIND)
  t.after(async () => await api.kill())
  return api
}

/** Sends some events, each in a request of its own. */
async function send(api: NodeService, status: number): Promise<void> {
  for (let n = 0; n < EVENTS; n += 1) {
    const body = JSON.stringify({ user_id: n, timestamp: '2026-01-02T03:04:05Z', metadata: {} })
    const headers = { 'content-type': 'application/json' }
    assert.equal((await fetch(`${api.url}/event`, { method: 'POST', headers, body })).status, status)
  }
}

/** Applies the remedy of the doctor's warning (setting and value), and checks that it is gone. */
async function applyRemedy(pattern: RegExp): Promise<void> {
  const options = ['--check', 'retention']
  const { findings } = await diagnose(pipeline.env, options)
  assert.match(textOf(findings, 'retention'), /expire by the clock of the API that wrote them/)
  const [, name = '', value = ''] = pattern.exec(findings[0]?.mend ?? '') ?? []
  await configureTopic(bootstrapServers, name, value)
  assert.deepEqual(
    (await diagnose(pipeline.env, options)).findings.map(({ level }) => level),
    ['ok'],
  )
}

/** Waits until Kafka has deleted expired records of another topic twice, so that it has looked at `events` since. */
async function expireControl(): Promise<void> {
  const topic = 'control'
  await withAdmin(bootstrapServers, async (admin) => {
    if (!(await admin.listTopics()).includes(topic))
      await admin.createTopics({ topics: [{ topic, numPartitions: 1 }], waitForLeaders: true })
    const producer = kafkaClient(bootstrapServers).producer({ allowAutoTopicCreation: false })
    await producer.connect()
    for (let round = 0; round < 2; round += 1) {
      const timestamp = String(Date.now() - BEHIND_S * 1_000)
      const [sent] = await producer.send({ topic, messages: [{ value: 'old', timestamp }] })
      const offset = BigInt(sent?.baseOffset ?? 0)
      await until('the old record is deleted', async () => {
        const [end] = await admin.fetchTopicOffsets(topic)
        return BigInt(end?.low ?? 0) > offset
      })
    }
    await producer.disconnect()
  })
}

async function ends(): Promise<{ low: string; high: string }> {
  return await withAdmin(bootstrapServers, async (admin) => {
    const [end] = await admin.fetchTopicOffsets('events')
    return { low: end?.low ?? '', high: end?.high ?? '' }
  })
}

async function topicConfig(name: string): Promise<string | undefined> {
  return await withAdmin(bootstrapServers, async (admin) => {
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: [{ type: kafkajs.ConfigResourceTypes.TOPIC, name: 'events' }],
    })
    return resources[0]?.configEntries.find(({ configName }) => configName === name)?.configValue
  })
}

/** A request to create a topic, with a setting that Kafka does not know in place of the timestamp's type. */
function renamed(request: Buffer): Buffer {
  const at = request.indexOf('message.timestamp.type')
  if (at < 0 || !request.includes('LogAppendTime')) return request
  const changed = Buffer.from(request)
  changed.write('message.timestamp.typo', at)
  return changed
}

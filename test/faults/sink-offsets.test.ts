import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, beforeEach, test } from 'node:test'
import type { Producer } from 'kafkajs'
import type { NodeService } from '../../embedded/node-service.ts'
import { PostgresTap } from '../../tools/drill/postgres-tap.ts'
import { TcpProxy } from '../../tools/drill/tcp-proxy.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { metricOf } from '../support/metrics.ts'
import { kafkaClient, record, transactionalProducer, withProducer } from '../support/records.ts'
import { caughtUp, storedRows, untilHealth } from '../support/sink-health.ts'
import { expireBefore, forgetAll, withAdmin } from '../support/topic.ts'
import { until } from '../support/until.ts'

/* I9: the offsets in PostgreSQL decide, whatever happens to the records, the partitions and the offsets in Kafka. */

const pipeline = await Pipeline.start({ KAFKA_TOPIC_PARTITIONS: '1', KAFKA_SESSION_TIMEOUT_MS: '2000' })
const { kafka, postgres } = pipeline.backend
const GROUP = pipeline.groupId
const { bootstrapServers } = kafka
const proxy = await TcpProxy.start(addressOf(postgres.url), () => new PostgresTap())
const throughProxy = new URL(postgres.url)
throughProxy.port = String(proxy.port)
const sink = await pipeline.startSink({ DATABASE_URL: throughProxy.href })
/** The length of the sink's log when the test started. */
let logStart = 0

beforeEach(async () => {
  await sink.stop(10_000)
  await forgetAll(pipeline)
  logStart = 0
  logStart = sinkLog().length
  await sink.start()
  await caughtUp(sink)
})
after(async () => {
  await pipeline.close()
  await proxy.close()
})

test('I9: records that expired before they were read are counted exactly once, without transaction markers', async () => {
  await send(0, ...numbers(0, 10))
  await storedRows(pipeline, 10)
  await sink.stop(10_000)
  await send(0, ...numbers(10, 20)) // 10 to 29
  await transact(0, true, ...numbers(30, 5)) // 30 to 34, a marker at 35
  await transact(0, false, ...numbers(40, 5)) // 36 to 40, a marker at 41
  await send(0, ...numbers(50, 5)) // 42 to 46
  await expireBefore(bootstrapServers, 25)
  await sink.start()
  await storedRows(pipeline, 10 + 5 + 5 + 5)
  const { total_expired } = await caughtUp(sink)
  assert.equal(total_expired, 15, '10 to 24')
  assert.equal(await metricOf(sink, 'firehose_sink_expired_total'), 15)
  assert.deepEqual(expiredLines(), [{ partition: 0, from: '10', count: 15 }])

  await sink.stop(10_000)
  await expireBefore(bootstrapServers, 42) // markers and records that were read already
  await send(0, 60)
  await sink.start()
  await storedRows(pipeline, 26)
  assert.equal((await caughtUp(sink)).total_expired, 0)
})

test('I9: if all unread records have expired, this is logged at once, is not lag, and is counted with the next record', async () => {
  await send(0, ...numbers(0, 10))
  await storedRows(pipeline, 10)
  await sink.stop(10_000)
  await send(0, ...numbers(10, 30))
  await expireBefore(bootstrapServers, 40)
  await sink.start()
  await caughtUp(sink)
  assert.deepEqual(expiredLines(), [{ partition: 0, from: '10', count: 30 }])
  await postgres.kill() // reading the offsets again must not log anything new
  await untilHealth('paused', sink, ({ state }) => state === 'paused')
  await postgres.start()
  await caughtUp(sink)
  await send(0, 50)
  await storedRows(pipeline, 11)
  assert.equal((await caughtUp(sink)).total_expired, 30)
  assert.equal(expiredLines().length, 1)
})

test('I9: records that expire while the sink lags are counted, and it continues', async () => {
  await send(0, ...numbers(0, 10))
  await storedRows(pipeline, 10)
  await postgres.stop()
  await send(0, ...numbers(10, 10))
  await untilHealth('paused', sink, ({ state }) => state === 'paused')
  await send(0, ...numbers(20, 20))
  await expireBefore(bootstrapServers, 30)
  await postgres.start()
  await storedRows(pipeline, 20)
  assert.equal((await caughtUp(sink)).total_expired, 20, '10 to 29')
})

test('I9: records that expire after an open transaction are logged within seconds, without a new record', async () => {
  await send(0, ...numbers(0, 10))
  await storedRows(pipeline, 10)
  const producer = await transactional()
  const transaction = await producer.transaction()
  await transaction.send({ topic: 'events', messages: [{ value: record(90), partition: 0 }] }) // offset 10
  await send(0, ...numbers(11, 29))
  await expireBefore(bootstrapServers, 40)
  await transaction.abort()
  await producer.disconnect()
  await until('it is logged', () => expiredLines().length > 0)
  await caughtUp(sink)
  assert.deepEqual(expiredLines(), [{ partition: 0, from: '10', count: 30 }])
  await send(0, 50)
  await storedRows(pipeline, 11)
  assert.equal((await caughtUp(sink)).total_expired, 30)
})

test('I9: partitions added while the sink runs are found and read from their first record', async () => {
  const api = await pipeline.startApi()
  await send(0, ...numbers(0, 10))
  await storedRows(pipeline, 10)
  await withAdmin(bootstrapServers, async (admin) => {
    await admin.createPartitions({ topicPartitions: [{ topic: 'events', count: 4 }] })
  })
  await until('the new partitions have leaders', async () => {
    await send(3, 30)
    return true
  })
  await send(1, ...numbers(11, 5))
  await send(2, ...numbers(21, 5))
  await storedRows(pipeline, 21)
  const { partitions, total_expired } = await caughtUp(sink)
  assert.deepEqual(
    partitions.map(({ next_offset }) => next_offset),
    [10, 5, 5, 1],
  )
  assert.equal(total_expired, 0)
  await pipeline.query("UPDATE sink_offsets SET updated_at = 'epoch'")
  await until('the API writes to each of the four', async () => {
    await post(api)
    const rows = await pipeline.query("SELECT 1 FROM sink_offsets WHERE updated_at > 'epoch'")
    return rows.length === 4
  })
  await api.stop(10_000)
  await caughtUp(sink)
  assert.equal((await pipeline.verify()).ok, true)
})

test('I2: the offset committed to Kafka is only a hint: moved back, moved forward or deleted, nothing is lost or stored twice', async () => {
  await send(0, ...numbers(0, 20))
  await storedRows(pipeline, 20)
  let rows = 20
  for (const change of ['0', '1000000', '25', undefined]) {
    await sink.stop(10_000)
    await send(0, ...numbers(rows, 10))
    rows += 10
    await withAdmin(bootstrapServers, async (admin) => {
      if (change === undefined) await admin.deleteGroups([GROUP])
      else
        await admin.setOffsets({
          groupId: GROUP,
          topic: 'events',
          partitions: [{ partition: 0, offset: change }],
        })
    })
    await sink.start()
    await storedRows(pipeline, rows)
    const { total_stored, total_duplicates, total_expired } = await caughtUp(sink)
    assert.deepEqual(
      { total_stored, total_duplicates, total_expired },
      { total_stored: 10, total_duplicates: 0, total_expired: 0 },
    )
  }
})

test('I2: records that a foreign member of the group has read are stored after it has left', async () => {
  await send(0, ...numbers(0, 10))
  await storedRows(pipeline, 10)
  // Partitions are assigned to members in order of their names, so this member gets the only one.
  const foreign = kafkaClient(bootstrapServers, 'a-foreign-one').consumer({ groupId: GROUP })
  try {
    await foreign.connect()
    await foreign.subscribe({ topic: 'events', fromBeginning: true })
    let taken = 0
    await foreign.run({
      eachMessage: async () => {
        taken += 1
      },
    })
    await untilHealth('the partition is gone', sink, ({ partitions }) => partitions.length === 0)
    await send(0, ...numbers(10, 10))
    await until('the foreign one has read them', () => taken >= 10)
    assert.equal(await pipeline.countEvents(), 10)
  } finally {
    await foreign.disconnect()
  }
  await storedRows(pipeline, 20)
  assert.equal((await caughtUp(sink)).total_expired, 0)
})

test('I2: Kafka dies between COMMIT and the offset commit: no database error, nothing lost or stored twice', async () => {
  await send(0, ...numbers(0, 10))
  await storedRows(pipeline, 10)
  const held = proxy.holdAt('before_hint', AbortSignal.timeout(30_000))
  await send(0, ...numbers(10, 10))
  const link = await held
  assert.equal(await pipeline.countEvents(), 20, 'it is committed')
  await kafka.kill()
  link.release()
  await untilHealth('the sink knows of its commit', sink, ({ total_stored }) => total_stored === 20)
  await kafka.start()
  await until('Kafka accepts records again', async () => {
    await send(0, ...numbers(20, 10)).catch(() => {})
    return (await pipeline.countEvents()) === 30
  })
  await caughtUp(sink)
  const log = sinkLog()
  assert.doesNotMatch(log, /"sqlstate"/)
  assert.doesNotMatch(log, /another worker wrote these offsets/)
  assert.equal((await pipeline.query('SELECT 1 FROM dead_letters')).length, 0)
  assert.equal((await pipeline.verify()).ok, true)
})

/** The sink's log lines in this test. */
function sinkLog(): string {
  return readFileSync(pipeline.path('sink-worker-0.log'), 'utf8').slice(logStart)
}

function expiredLines(): { partition: number; from: string; count: number }[] {
  return sinkLog()
    .split('\n')
    .filter((line) => line.includes('records expired before they were read'))
    .map((line) => {
      const { partition, from, count } = JSON.parse(line) as {
        partition: number
        from: string
        count: number
      }
      return { partition, from, count }
    })
}

function numbers(from: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => from + index)
}

async function send(partition: number, ...ns: number[]): Promise<void> {
  await withProducer(bootstrapServers, async (produce) => {
    await produce(ns.map((n) => ({ value: record(n), partition })))
  })
}

async function transactional(): Promise<Producer> {
  return await transactionalProducer(bootstrapServers, 'another-producer')
}

async function transact(partition: number, commits: boolean, ...ns: number[]): Promise<void> {
  const producer = await transactional()
  const transaction = await producer.transaction()
  await transaction.send({ topic: 'events', messages: ns.map((n) => ({ value: record(n), partition })) })
  await (commits ? transaction.commit() : transaction.abort())
  await producer.disconnect()
}

async function post(api: NodeService): Promise<void> {
  const body = '{"user_id":1,"timestamp":"2026-03-04T05:06:07Z","metadata":{}}'
  const headers = { 'content-type': 'application/json' }
  const { status } = await fetch(`${api.url}/event`, { method: 'POST', headers, body })
  assert.equal(status, 202)
}

function addressOf(url: string): { host: string; port: number } {
  const { hostname, port } = new URL(url)
  return { host: hostname, port: Number(port) }
}

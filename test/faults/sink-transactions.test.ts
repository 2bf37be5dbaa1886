import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import type { Producer, Transaction } from 'kafkajs'
import type { NodeService } from '../../embedded/node-service.ts'
import { seededRandom } from '../../tools/drill/plan.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { idOf, record, transactionalProducer, withProducer } from '../support/records.ts'
import { caughtUp, untilHealth } from '../support/sink-health.ts'
import { until } from '../support/until.ts'

/* Transactions of other producers in the topic: only committed records are stored, and none counts as lost. */

/** The sink checks its positions every 10 s. */
const TWO_LOOKS_MS = 22_000

let pipeline: Pipeline
let sink: NodeService
const producers: Producer[] = []

before(async () => {
  pipeline = await Pipeline.start({ KAFKA_TOPIC_PARTITIONS: '8', KAFKA_SESSION_TIMEOUT_MS: '2000' })
  sink = await pipeline.startSink()
})
after(async () => {
  await Promise.all(producers.map(async (producer) => await producer.disconnect()))
  await pipeline?.close()
})

async function transactional(name: string): Promise<Producer> {
  const producer = await transactionalProducer(pipeline.backend.kafka.bootstrapServers, name)
  producers.push(producer)
  return producer
}

async function within(transaction: Transaction, partition: number, ...numbers: number[]): Promise<void> {
  // The key of an abort marker is four zero bytes.
  const messages = numbers.map((n) => ({ key: Buffer.alloc(4), value: record(n), partition }))
  await transaction.send({ topic: 'events', messages })
}

async function plain(partition: number, ...numbers: number[]): Promise<void> {
  await withProducer(pipeline.backend.kafka.bootstrapServers, async (produce) => {
    await produce(numbers.map((n) => ({ value: record(n), partition })))
  })
}

/** The stored numbers within the range, in order. */
async function stored(from: number, to: number): Promise<number[]> {
  const rows = await pipeline.query<{ user_id: string }>(
    'SELECT user_id FROM events WHERE user_id BETWEEN $1 AND $2 ORDER BY user_id',
    [from, to],
  )
  return rows.map((row) => Number(row.user_id))
}

test('I2: of overlapping transactions, whatever the order in which they end, only the committed ones are stored', async () => {
  const [a, b, c] = [await transactional('a'), await transactional('b'), await transactional('c')]
  const [first, second, third] = [await a.transaction(), await b.transaction(), await c.transaction()]
  await within(first, 0, 100, 101)
  await within(second, 0, 110, 111)
  await within(third, 0, 120)
  await plain(0, 130)
  await within(first, 0, 102)
  await second.abort()
  await within(third, 0, 121)
  await within(first, 0, 103)
  await first.abort()
  await third.commit()
  const [fourth, fifth] = [await a.transaction(), await b.transaction()]
  await within(fourth, 0, 140)
  await within(fifth, 0, 150)
  await fourth.commit()
  await within(fifth, 0, 151)
  await fifth.abort()
  await plain(0, 131)
  await isStored(131)
  assert.deepEqual(await stored(100, 199), [120, 121, 130, 131, 140])
  const { total_expired } = await caughtUp(sink)
  assert.equal(total_expired, 0)
})

test('I2: whatever twenty transactions of three producers do, the committed ones are stored once', async (t) => {
  const seed = Date.now() % 1_000_000
  t.diagnostic(`seed ${seed}`)
  const random = seededRandom(seed)
  const all = await Promise.all(['d', 'e', 'f'].map(async (name) => await transactional(name)))
  const open = new Map<Producer, { transaction: Transaction; numbers: number[] }>()
  const expected: number[] = []
  let [n, ended] = [200_000, 0]
  while (ended < 20 || open.size > 0) {
    const producer = all[Math.floor(random() * all.length)]
    assert.ok(producer)
    const running = open.get(producer)
    if (running === undefined) {
      if (ended < 20) open.set(producer, { transaction: await producer.transaction(), numbers: [] })
    } else if (running.numbers.length === 0 || random() < 0.4) {
      const numbers = Array.from({ length: 1 + Math.floor(random() * 3) }, () => n++)
      await within(running.transaction, 1, ...numbers)
      running.numbers.push(...numbers)
    } else {
      const commits = random() < 0.5
      await (commits ? running.transaction.commit() : running.transaction.abort())
      if (commits) expected.push(...running.numbers)
      open.delete(producer)
      ended += 1
      if (ended === 10) await restart() // while some are open, with markers after the last stored record
    }
  }
  await plain(1, n)
  await isStored(n)
  assert.deepEqual(await stored(200_000, n), [...expected.toSorted((x, y) => x - y), n])
  const verdict = await pipeline.verify()
  assert.equal(verdict.ok, true, JSON.stringify(verdict))
})

test('I9: aborted records alone are neither lag nor loss, even after a restart', async () => {
  const producer = await transactional('g')
  const transaction = await producer.transaction()
  await within(transaction, 2, 300, 301, 302)
  await transaction.abort()
  await restart()
  const { total_expired, partitions } = await caughtUp(sink)
  assert.equal(total_expired, 0)
  assert.equal(partitions[2]?.next_offset, 0, 'there was nothing to write')
  await plain(2, 310)
  await isStored(310)
  assert.deepEqual(await stored(300, 399), [310])
  assert.equal((await caughtUp(sink)).total_expired, 0)
})

test('I9: an open transaction holds back the records after its start, and only those, until it ends', async () => {
  const producer = await transactional('h')
  const aborted = await producer.transaction()
  await plain(3, 400)
  await within(aborted, 3, 410)
  await plain(3, 401)
  await plain(4, 420)
  await isStored(420)
  await isStored(400)
  const held = await untilHealth('running', sink, ({ state }) => state === 'running')
  assert.deepEqual(await stored(400, 419), [400], 'the records after it could still belong to it')
  assert.equal(held.total_expired, 0)
  await aborted.abort()
  await isStored(401)

  const committed = await producer.transaction()
  await within(committed, 3, 411)
  await plain(3, 402)
  await restart()
  await plain(4, 421)
  await isStored(421)
  assert.deepEqual(await stored(400, 419), [400, 401])
  await committed.commit()
  await isStored(402)
  assert.deepEqual(await stored(400, 419), [400, 401, 402, 411])
  assert.equal((await caughtUp(sink)).total_expired, 0)
})

test('I2: verify reports records after an open transaction as held back, not MISSING, and compares them after its end', async () => {
  const producer = await transactional('i')
  const committed = await producer.transaction()
  await within(committed, 5, 500)
  await plain(5, 501, 502)
  await plain(6, 510, 511)
  await isStored(511)
  await pipeline.query('UPDATE events SET event_id = gen_random_uuid() WHERE user_id = 510')
  const held = await pipeline.verify(acked(500, 501, 502, 510, 511))
  await pipeline.query('UPDATE events SET event_id = $1 WHERE user_id = 510', [idOf(510)])
  assert.equal(held.ok, false)
  assert.deepEqual(held.held_back, [{ partition: 5, from: '0', to: '3' }])
  assert.match(
    held.problems.join(),
    /^partition 5: offsets 0 to 2 are held back by an open transaction .*find-hanging, abort/,
  )
  assert.deepEqual([held.held_back_count, held.acked_not_judged, held.acked_stored], [3, 3, 1])
  assert.deepEqual(
    held.acked_missing.map(({ event_id, offset }) => [event_id, offset]),
    [[idOf(510), '0']],
    'a record that was read but is in no table is still missing',
  )
  await committed.commit()
  await isStored(502)
  const whole = await pipeline.verify(acked(500, 501, 502, 510, 511))
  assert.deepEqual([whole.ok, whole.acked_stored, whole.held_back], [true, 5, []], JSON.stringify(whole))

  const aborted = await producer.transaction()
  await within(aborted, 5, 520)
  await plain(5, 521)
  await aborted.abort()
  await isStored(521)
  const judged = await pipeline.verify(acked(520, 521))
  assert.deepEqual([judged.acked_stored, judged.acked_not_judged, judged.problems], [1, 0, []])
  assert.deepEqual(
    judged.acked_missing.map(({ event_id }) => event_id),
    [idOf(520)],
  )
})

test('I5: records held back by an open transaction are lag, do not prolong an outage, and do not make the sink start over', async () => {
  const producer = await transactional('j')
  const aborted = await producer.transaction()
  await within(aborted, 7, 700)
  await aborted.abort() // two offsets to skip, with its marker
  const open = await producer.transaction()
  await within(open, 7, 710)
  await plain(7, 711, 712)
  await heldBack()
  const metrics = await (await fetch(`${sink.url}/metrics`)).text()
  assert.match(metrics, /^firehose_sink_lag\{partition="7"\} 3$/m)
  assert.match(metrics, /^firehose_sink_held_back\{partition="7"\} 3$/m)

  await pipeline.backend.postgres.kill()
  await untilHealth('paused', sink, ({ state }) => state === 'paused')
  await pipeline.backend.postgres.start()
  await untilHealth('running again, with nothing to write', sink, ({ state }) => state === 'running')
  await heldBack()

  const states = new Set<string>()
  const end = performance.now() + TWO_LOOKS_MS
  await until(
    'the sink has checked its positions twice',
    async () => {
      states.add(String((await sink.health())?.state))
      return performance.now() > end
    },
    2 * TWO_LOOKS_MS,
  )
  assert.deepEqual([...states], ['running'], 'it reads its offsets again')
  await open.commit()
  await isStored(712)
  assert.deepEqual(await stored(700, 799), [710, 711, 712])
  assert.equal((await caughtUp(sink)).partitions[7]?.held_back, 0)
})

/** Three offsets of partition 7. */
async function heldBack(): Promise<void> {
  await untilHealth('three are held back', sink, ({ partitions }) =>
    partitions.some(({ partition, lag, held_back }) => partition === 7 && lag === 3 && held_back === 3),
  )
}

/** A file that lists these events as acknowledged. */
function acked(...numbers: number[]): string {
  const file = pipeline.path('acked.tsv')
  writeFileSync(file, numbers.map((n) => `${idOf(n)}\t${record(n)}\n`).join(''))
  return file
}

async function isStored(n: number): Promise<void> {
  await until(`event ${n} is stored`, async () => (await stored(n, n)).length === 1)
}

async function restart(): Promise<void> {
  await sink.stop(10_000)
  await sink.start()
}

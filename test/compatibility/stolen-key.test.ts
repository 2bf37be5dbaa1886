import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { NodeService } from '../../embedded/node-service.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { KeyFileFixture, type Made, makeKey } from '../support/key-files.ts'
import { runFirehose } from '../support/run-firehose.ts'
import { until } from '../support/until.ts'

/* What docs/THREAT-MODEL.md says of a stolen browser key, and the way back of docs/RUNBOOK.md. */

const SHOP = 'https://shop.example'
/** A key that was revoked is refused within this time. */
const SEEN_MS = 5_000
const browser = makeKey('shop', 'browser', { origins: [SHOP], eventsPerSecond: 1_000, burst: 5_000 })
const server = makeKey('app', 'server')
const keys = new KeyFileFixture(browser, server)

let pipeline: Pipeline
let api: NodeService
let sink: NodeService

before(async () => {
  pipeline = await Pipeline.start({ KAFKA_TOPIC_PARTITIONS: '1', API_KEYS_FILE: keys.path })
  api = await pipeline.startApi()
  sink = await pipeline.startSink()
})
after(async () => {
  await pipeline?.close()
  keys.remove()
})

/** Events as a program sends them. A program can send any Origin. */
async function send({ text }: Made, events: object | object[], origin?: string): Promise<number> {
  const response = await fetch(`${api.url}/${Array.isArray(events) ? 'events' : 'event'}`, {
    method: 'POST',
    headers: {
      'Content-Type': 'application/json',
      Authorization: `Bearer ${text}`,
      ...(origin === undefined ? {} : { Origin: origin }),
    },
    body: JSON.stringify(events),
  })
  await response.arrayBuffer()
  return response.status
}

function event(user_id: number, more: object = {}): object {
  return { user_id, timestamp: '2026-01-02T03:04:05Z', metadata: {}, ...more }
}

async function firehose(...args: string[]): Promise<void> {
  const { code, err } = await runFirehose(pipeline.env, ...args)
  assert.equal(code, 0, err)
}

async function countUser(user: number): Promise<number> {
  const sql = 'SELECT count(*)::int FROM events WHERE user_id = $1'
  const [row] = await pipeline.query<{ count: number }>(sql, [user])
  return row?.count ?? 0
}

test('it needs an Origin, which a program can forge; it may send any source, and has its label without one', async () => {
  assert.equal(await send(browser, event(1)), 403)
  assert.equal(await send(browser, event(1), 'https://other.example'), 403)
  assert.equal(await send(browser, event(2), SHOP), 202)
  assert.equal(await send(browser, event(3, { source: 'app' }), SHOP), 202)
  await until('both are rows', async () => (await pipeline.countEvents()) === 2)
  const rows = await pipeline.query('SELECT user_id, source FROM events ORDER BY user_id')
  assert.deepEqual(rows, [
    { user_id: '2', source: 'shop' },
    { user_id: '3', source: 'app' },
  ])
})

test('I2: an event that is sent again with another key is the same event, with the label of the first', async () => {
  const [plain, named] = [1, 2].map((n) => `01941f29-7c00-7000-8000-00000000010${n}`)
  for (const more of [{ event_id: plain }, { event_id: named, source: 'app' }]) {
    assert.equal(await send(browser, event(77, more), SHOP), 202)
    assert.equal(await send(server, event(77, more)), 202)
    assert.equal(await send(browser, event(77, more), SHOP), 202)
  }
  await until('four duplicates', async () => (await sink.health())?.total_duplicates === 4)
  assert.deepEqual(await pipeline.query('SELECT source FROM events WHERE user_id = 77 ORDER BY event_id'), [
    { source: 'shop' },
    { source: 'app' },
  ])
  assert.deepEqual(await pipeline.query('SELECT reason FROM dead_letters'), [])
  const { code, out } = await runFirehose(pipeline.env, 'verify')
  assert.equal(code, 0, out)
  assert.match(out, /duplicates +4\n  changed in the database since +0\n/)
})

test('who knows an id takes it first: the true event is a conflict, which --new-id stores', async () => {
  const event_id = '01941f29-7c00-7000-8000-000000000001'
  assert.equal(await send(browser, event(666, { event_id }), SHOP), 202)
  assert.equal(await send(server, event(42, { event_id })), 202)
  await until('a conflict', async () => {
    const letters = await pipeline.query(`SELECT FROM dead_letters WHERE reason = 'event_id_conflict'`)
    return letters.length === 1
  })
  assert.deepEqual([await countUser(666), await countUser(42)], [1, 0])
  await firehose('dlq', 'replay', '--reason', 'event_id_conflict', '--new-id', '--yes')
  assert.deepEqual([await countUser(666), await countUser(42)], [1, 1])
})

test('a batch that breaks a CHECK pauses the sink until the constraint is gone; a revoked key is refused', async () => {
  await pipeline.query('ALTER TABLE events ADD CONSTRAINT positive CHECK (user_id > 0)')
  const bad = Array.from({ length: 1_000 }, () => event(-1))
  assert.equal(await send(browser, bad, SHOP), 202)
  const { reason } = await until('the sink waits for a person', async () => {
    const health = await sink.health()
    return health?.needs_person === true ? health : undefined
  })
  assert.match(String(reason), /rows were refused \(positive, 23514\), so nothing is dead-lettered/)
  assert.equal(await send(server, event(7)), 202)

  await firehose('keys', 'revoke', 'shop')
  await until('the key is refused', async () => (await send(browser, event(-1), SHOP)) === 401, SEEN_MS)
  await pipeline.query('ALTER TABLE events DROP CONSTRAINT positive')
  await until('all is stored', async () => await pipeline.isCaughtUp())
  assert.equal(await countUser(7), 1)
  assert.ok((await countUser(-1)) >= 1_000)
  await pipeline.query(`DELETE FROM events WHERE source = 'shop' AND user_id < 0`)
  await pipeline.query('ALTER TABLE events ADD CONSTRAINT positive CHECK (user_id > 0)')
  assert.equal(await send(server, event(8)), 202)
  await until('rows come in again', async () => (await countUser(8)) === 1)
})

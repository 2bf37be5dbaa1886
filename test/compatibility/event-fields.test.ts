import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import * as fc from 'fast-check'
import type { NodeService } from '../../embedded/node-service.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { anyText, jsonString } from '../arbitrary/event-text.ts'
import { pausedBy, range, sendEvents, SHORT_TIMEOUTS } from '../support/sink-faults.ts'
import { runFirehose } from '../support/run-firehose.ts'
import { caughtUp, storedRows } from '../support/sink-health.ts'
import { until } from '../support/until.ts'

/* The optional fields of an event, from the request to the row. */

const LIMITS = { anonymous_id: 255, event_name: 255, event_type: 100, session_id: 255, source: 100 }
const NAMES = Object.keys(LIMITS) as (keyof typeof LIMITS)[]
const EVENTS = 3_000
const BATCH = 500

let pipeline: Pipeline
let api: NodeService
let sink: NodeService

before(async () => {
  pipeline = await Pipeline.start({ KAFKA_TOPIC_PARTITIONS: '2', ...SHORT_TIMEOUTS })
  api = await pipeline.startApi()
  sink = await pipeline.startSink()
})
after(async () => {
  await pipeline?.close()
})

async function post(body: string, path = '/events'): Promise<{ status: number; answer: unknown }> {
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(`${api.url}${path}`, { method: 'POST', headers, body })
  return { status: response.status, answer: await response.json() }
}

const USUAL = { timestamp: '2026-01-02T03:04:05Z', metadata: {} }

/** The values of the optional fields, and how each is written in JSON. */
const texts = fc.tuple(
  ...NAMES.map((name) =>
    fc.option(
      anyText
        .filter((text) => Array.from(text).length <= LIMITS[name])
        .chain((text) => jsonString(fc.constant(text)).map((json) => ({ name, text, json }))),
      { nil: undefined },
    ),
  ),
)

test('I4: every text that PostgreSQL holds is stored as it was sent, in any subset of the optional fields', async () => {
  const sent = new Map<string, Record<string, string>>()
  const events = fc.sample(texts, EVENTS).map((fields) => {
    const present = fields.filter((field) => field !== undefined)
    const id = randomUUID()
    sent.set(id, Object.fromEntries(present.map(({ name, text }) => [name, text])))
    const user = present.some(({ name }) => name === 'anonymous_id') ? '' : '"user_id":1,'
    const own = present.map(({ name, json }) => `"${name}":${json},`).join('')
    return `{"event_id":"${id}",${user}${own}"timestamp":"2026-01-02T03:04:05Z","metadata":{}}`
  })
  for (let at = 0; at < events.length; at += BATCH) {
    const { status, answer } = await post(`[${events.slice(at, at + BATCH).join(',')}]`)
    assert.equal(status, 202, JSON.stringify(answer))
  }
  await storedRows(pipeline, EVENTS)
  const rows = await pipeline.query<Record<string, string | null>>(
    `SELECT event_id, user_id, ${NAMES.join(', ')} FROM events WHERE metadata = '{}'`,
  )
  assert.equal(rows.length, EVENTS)
  for (const { event_id: id, user_id: user, ...row } of rows) {
    const expected = sent.get(id!)!
    assert.deepEqual(
      row,
      Object.fromEntries(NAMES.map((name) => [name, expected[name] ?? null])),
      `event ${id}`,
    )
    assert.equal(user, expected.anonymous_id === undefined ? '1' : null)
  }
})

test('a limit counts characters as PostgreSQL does; NUL and half a pair are refused with a pointer', async () => {
  for (const [name, limit] of Object.entries(LIMITS)) {
    for (const character of ['a', 'é', '😀', 'e\u0301']) {
      const [{ length } = { length: 0 }] = await pipeline.query<{ length: number }>(
        'SELECT char_length($1) AS length',
        [character],
      )
      const text = character.repeat(Math.floor(limit / length))
      const event = { ...USUAL, user_id: 2, [name]: text }
      assert.equal((await post(JSON.stringify(event), '/event')).status, 202, `${name} ${character}`)
      const longer = await post(
        JSON.stringify({ ...event, [name]: `${text}${character}${character}` }),
        '/event',
      )
      assert.deepEqual(
        [longer.status, (longer.answer as { errors: unknown }).errors],
        [
          422,
          [
            {
              pointer: `/${name}`,
              detail: `${name} must be a string of 1 to ${limit} characters, or be omitted.`,
            },
          ],
        ],
      )
    }
    for (const bad of ['a\\u0000', '\\ud800', '\\udc00x']) {
      const body = JSON.stringify({ ...USUAL, user_id: 2 }).replace('{', `{"${name}":"${bad}",`)
      const { status, answer } = await post(body, '/event')
      assert.equal(status, 422, body)
      assert.deepEqual(
        (answer as { errors: { pointer: string }[] }).errors.map(({ pointer }) => pointer),
        [`/${name}`],
      )
    }
  }
})

test('I2: the same event again is a duplicate, also without user_id and check; another name is a conflict', async () => {
  const id = randomUUID()
  const event = { event_id: id, anonymous_id: 'é', event_name: 'one', ...USUAL }
  const duplicates = async (): Promise<number> => (await caughtUp(sink)).total_duplicates
  const letters = async (): Promise<number> =>
    (await pipeline.query('SELECT FROM dead_letters WHERE event_id = $1', [id])).length
  assert.equal((await post(JSON.stringify(event), '/event')).status, 202)
  await until(
    'stored',
    async () => (await pipeline.query('SELECT FROM events WHERE event_id = $1', [id])).length === 1,
  )
  for (const check of ['sent_check', 'NULL']) {
    await pipeline.query(`UPDATE events SET sent_check = ${check} WHERE event_id = $1`, [id])
    const earlier = await duplicates()
    // Null is the same as absent, and an escape the same as its character.
    const again = JSON.stringify({ ...event, user_id: null, source: null }).replace('"é"', '"\\u00e9"')
    assert.equal((await post(again, '/event')).status, 202)
    await until('a duplicate', async () => (await duplicates()) === earlier + 1)
  }
  assert.equal(await letters(), 0)
  await pipeline.query('UPDATE events SET sent_check = 1 WHERE event_id = $1', [id])
  for (const [n, change] of [
    { event_name: 'two' },
    { event_name: null },
    { user_id: 1 },
    { source: 'x' },
  ].entries()) {
    assert.equal((await post(JSON.stringify({ ...event, ...change }), '/event')).status, 202)
    await until('a conflict', async () => (await letters()) === n + 1)
  }
  const reasons = await pipeline.query('SELECT DISTINCT reason FROM dead_letters WHERE event_id = $1', [id])
  assert.deepEqual(reasons, [{ reason: 'event_id_conflict' }])
})

test('records of other producers: addresses and user agents are stored, and a bad field is a dead letter of its own', async () => {
  const fields = [
    { ip_address: '203.0.113.7', user_agent: 'x "y" é' },
    { ip_address: '2001:db8:1::/48' },
    { ip_address: '::ffff:1.2.3.4' },
    { ip_address: '1.2.3' },
    { user_agent: 'x'.repeat(1_001) },
    { event_name: 5 },
  ]
  await sendEvents(pipeline, range(900_000, fields.length), (n) => fields[n - 900_000]!)
  const stored = async (): Promise<unknown[]> =>
    await pipeline.query(
      'SELECT host(ip_address) AS host, masklen(ip_address) AS bits, user_agent FROM events WHERE user_id >= 900000 ORDER BY user_id',
    )
  await until('stored', async () => (await stored()).length === 3)
  assert.deepEqual(await stored(), [
    { host: '203.0.113.7', bits: 32, user_agent: 'x "y" é' },
    { host: '2001:db8:1::', bits: 48, user_agent: null },
    { host: '::ffff:1.2.3.4', bits: 128, user_agent: null },
  ])
  const letters = await pipeline.query(
    `SELECT message FROM dead_letters WHERE reason = 'undecodable' ORDER BY "offset"`,
  )
  assert.deepEqual(letters, [
    { message: 'ip_address is not an IP address or a network' },
    { message: 'user_agent is not a string of 1 to 1000 characters' },
    { message: 'event_name is not a string of 1 to 255 characters' },
  ])
})

test('a default that the user gives an optional column is never stored, whatever other events have', async () => {
  await pipeline.query(`ALTER TABLE events ALTER COLUMN source SET DEFAULT 'theirs'`)
  await sendEvents(pipeline, range(905_000, 3))
  await sendEvents(pipeline, range(905_003, 3), (n) => (n === 905_004 ? { event_name: 'x' } : {}))
  const stored = async (): Promise<unknown[]> =>
    await pipeline.query('SELECT source FROM events WHERE user_id BETWEEN 905000 AND 905005')
  await until('stored', async () => (await stored()).length === 6)
  assert.deepEqual(
    await stored(),
    Array.from({ length: 6 }, () => ({ source: null })),
  )
  await pipeline.query('ALTER TABLE events ALTER COLUMN source DROP DEFAULT')
})

test('lookups by user and by visitor use their indexes', async () => {
  for (const [where, index] of [
    ['user_id = 1', 'events_other_user_id_timestamp_idx'],
    [`anonymous_id = 'v'`, 'events_other_anonymous_id_timestamp_idx'],
  ] as const) {
    const plan = await pipeline.query(
      `EXPLAIN SELECT * FROM events WHERE ${where} ORDER BY "timestamp" DESC LIMIT 50`,
    )
    assert.match(JSON.stringify(plan), new RegExp(index))
  }
})

test('a table without the columns pauses the sink, which names migrate; so does the doctor; migrate cures it', async () => {
  await pipeline.query(
    `ALTER TABLE events DROP COLUMN session_id, DROP COLUMN ip_address;
     DELETE FROM firehose_migrations WHERE name LIKE '006%'`,
  )
  await sendEvents(pipeline, [910_000])
  await pausedBy(sink, /"events" lacks the columns ip_address, session_id: run "npx firehose migrate"/)
  const doctor = await runFirehose(pipeline.env, 'doctor', '--check', 'tables')
  assert.match(doctor.out, /Migration 006_optional_fields.sql was not applied/)
  const taken = await runFirehose(pipeline.env, 'migrate')
  assert.equal(taken.code, 1)
  assert.match(
    taken.err,
    /column "anonymous_id" of relation "events" already exists: the column is yours.*rename it/,
  )
  const rest = NAMES.filter((name) => name !== 'session_id').map((name) => `DROP COLUMN ${name}`)
  await pipeline.query(`ALTER TABLE events ${rest.join(', ')}, DROP COLUMN user_agent`)
  assert.equal((await runFirehose(pipeline.env, 'migrate')).code, 0)
  await until(
    'stored',
    async () => (await pipeline.query('SELECT FROM events WHERE user_id = 910000')).length === 1,
  )
  const [index] = await pipeline.query(`SELECT to_regclass('events_anonymous_id_timestamp_idx') AS name`)
  assert.deepEqual(index, { name: null }, 'the table has rows, so no index is built while the sinks wait')
})

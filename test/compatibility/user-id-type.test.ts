import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { NodeService } from '../../embedded/node-service.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { assertDrained, pausedBy, range, sendEvents, SHORT_TIMEOUTS } from '../support/sink-faults.ts'
import { diagnose } from '../support/diagnosis.ts'
import { runFirehose } from '../support/run-firehose.ts'
import { caughtUp, storedRows } from '../support/sink-health.ts'
import { until } from '../support/until.ts'

/* USER_ID_TYPE: chosen at the first migrate, seen by the sink from the column, set for the API. */

const TO_TEXT = 'ALTER TABLE events ALTER COLUMN user_id TYPE text COLLATE "C"'
const TO_BIGINT = 'ALTER TABLE events ALTER COLUMN user_id TYPE bigint USING user_id::bigint'

let pipeline: Pipeline
let sink: NodeService

before(async () => {
  pipeline = await Pipeline.start({ KAFKA_TOPIC_PARTITIONS: '1', USER_ID_TYPE: 'text', ...SHORT_TIMEOUTS })
  sink = await pipeline.startSink()
})
after(async () => {
  await pipeline?.close()
})

async function post(api: NodeService, userId: string): Promise<number> {
  const body = `{"user_id":${userId},"timestamp":"2026-01-02T03:04:05Z","metadata":{}}`
  const headers = { 'content-type': 'application/json' }
  return (await fetch(`${api.url}/event`, { method: 'POST', headers, body })).status
}

/** In the order of their bytes. */
async function userIds(): Promise<string[]> {
  const sql = 'SELECT user_id::text COLLATE "C" AS id FROM events ORDER BY 1'
  return (await pipeline.query<{ id: string }>(sql)).map(({ id }) => id)
}

test('text: any string is stored as sent, and a number as its decimal text', async () => {
  const api = await pipeline.startApi()
  const sent = ['"007"', '42', '"a\\"b"', '"😀"', '"null"', '"42"', '9223372036854775807', '4.20e1']
  for (const userId of sent) assert.equal(await post(api, userId), 202, userId)
  const args = ['--user-id', 'so "far"', '--metadata', '{}', '--url', api.url]
  assert.equal((await runFirehose(pipeline.env, 'send', ...args)).code, 0)
  for (const userId of ['""', '1.5', '9223372036854775808', '"a\\u0000"', `"${'é'.repeat(256)}"`])
    assert.equal(await post(api, userId), 422, userId)
  await storedRows(pipeline, sent.length + 1)
  const expected = ['007', '42', 'a"b', '😀', 'null', '42', '9223372036854775807', '42', 'so "far"']
  assert.deepEqual(
    await userIds(),
    expected.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
  )
  // As an API with a bigint wrote it before, from another producer, and the same again as text: one event.
  await sendEvents(pipeline, [1])
  await sendEvents(pipeline, [1], () => ({ user_id: '1' }))
  await until('a duplicate', async () => (await caughtUp(sink)).total_duplicates === 1)
  await assertDrained(pipeline, sink)
  await api.stop(10_000)
})

test('a type that is not that of the column is said by migrate, with both remedies', async () => {
  const bigint = await runFirehose({ ...pipeline.env, USER_ID_TYPE: '' }, 'migrate')
  assert.equal(bigint.code, 1)
  assert.match(
    bigint.err,
    /USER_ID_TYPE is bigint, but the column user_id of "events" is text: set USER_ID_TYPE=text/,
  )
  assert.equal((await runFirehose(pipeline.env, 'migrate')).code, 0)
  const wrong = await runFirehose({ ...pipeline.env, USER_ID_TYPE: 'uuid' }, 'migrate')
  assert.equal(wrong.code, 78)
})

test('the column may change while the sink runs: nothing is lost, stored twice or dead-lettered', async () => {
  await pipeline.query('TRUNCATE events')
  await pipeline.query(TO_BIGINT)
  await sendEvents(pipeline, range(100, 50))
  await storedRows(pipeline, 50)
  await pipeline.query(TO_TEXT)
  await sendEvents(pipeline, range(150, 50))
  await storedRows(pipeline, 100)
  await pipeline.query(TO_BIGINT)
  await sendEvents(pipeline, range(200, 50))
  await storedRows(pipeline, 150)
  assert.deepEqual(await userIds(), range(100, 150).map(String))
  assert.deepEqual(await pipeline.query('SELECT FROM dead_letters'), [])
})

test('a text API over a bigint column: the sink pauses with the statement that cures it, and nothing is dead-lettered', async () => {
  await pipeline.query('TRUNCATE events')
  const api = await pipeline.startApi()
  for (const userId of ['"1"', '"abc"', '"007"']) assert.equal(await post(api, userId), 202)
  const { reason } = await pausedBy(sink, /wrote a user_id that the column, which is bigint, cannot hold/)
  const found = await runFirehose({ ...pipeline.env, USER_ID_TYPE: 'text' }, 'migrate')
  assert.equal(found.code, 1)
  assert.match(found.err, /USER_ID_TYPE is text, but the column user_id of "events" is bigint.*ALTER TABLE/)
  const statement = /ALTER TABLE[^;]+;/.exec(reason ?? '')?.[0]
  assert.ok(statement !== undefined && found.err.includes(statement), reason)
  await pipeline.query(statement)
  await storedRows(pipeline, 3)
  assert.deepEqual(await userIds(), ['007', '1', 'abc'])
  assert.deepEqual(await pipeline.query('SELECT FROM dead_letters'), [])
  // A text that another producer wrote is a bad record, if the column is bigint.
  await pipeline.query('TRUNCATE events')
  await pipeline.query(TO_BIGINT)
  await sendEvents(pipeline, [301], () => ({ received_at: undefined, user_id: 'abc' }))
  await until('a dead letter', async () => (await pipeline.query('SELECT FROM dead_letters')).length === 1)
})

test('a column of a text table that was dropped: the sink and the doctor give the statement that restores it', async () => {
  await pipeline.query('TRUNCATE events, dead_letters')
  await pipeline.query(TO_TEXT)
  await pipeline.query('ALTER TABLE events DROP COLUMN session_id, ALTER COLUMN sent_check TYPE numeric')
  await sendEvents(pipeline, [401])
  await pausedBy(sink, /the columns of "events" are .* expected \(.*user_id text\)/)
  const { findings } = await diagnose(pipeline.env, ['--check', 'tables'])
  const [both = ''] = /ALTER TABLE[^;]+;/.exec(findings[0]?.mend ?? '') ?? []
  await pipeline.query(both)
  await storedRows(pipeline, 1)
  await pipeline.query('ALTER TABLE events DROP COLUMN session_id')
  await sendEvents(pipeline, [402])
  const { reason } = await pausedBy(sink, /lacks the columns session_id: run "npx firehose migrate"; if they/)
  assert.match((await runFirehose(pipeline.env, 'migrate')).out, /up to date/)
  await pipeline.query(/ALTER TABLE[^;]+;/.exec(reason ?? '')?.[0] ?? '')
  await storedRows(pipeline, 2)
})

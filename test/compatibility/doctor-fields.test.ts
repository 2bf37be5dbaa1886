import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Finding } from '../../doctor/finding.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { diagnose } from '../support/diagnosis.ts'

/* What the doctor says about user ids and indexes is right: its remedies are applied, and it is content. */

let pipeline: Pipeline

before(async () => {
  pipeline = await Pipeline.start({ KAFKA_TOPIC_PARTITIONS: '1', EVENTS_PARTITION: 'none' })
})
after(async () => {
  await pipeline?.close()
})

/** What the doctor finds wrong, or notes, in one check. */
async function found(check: string, ...options: string[]): Promise<Finding[]> {
  const { findings } = await diagnose(pipeline.env, ['--check', check, ...options])
  return findings.filter(({ level }) => level !== 'ok')
}

async function columnType(): Promise<string | undefined> {
  const sql = `SELECT data_type FROM information_schema.columns WHERE table_name = 'events' AND column_name = 'user_id'`
  return (await pipeline.query<{ data_type: string }>(sql))[0]?.data_type
}

test('a table with rows, whose index on visitors was not built: the note has the statement that builds it', async () => {
  assert.deepEqual(await found('indexes'), [])
  await pipeline.query(`
    DROP INDEX events_user_id_timestamp_idx, events_anonymous_id_timestamp_idx, events_timestamp_idx;
    INSERT INTO events (event_id, user_id, "timestamp", metadata, received_at)
      SELECT gen_random_uuid(), n, now(), '{}', now() FROM generate_series(1, 100) AS n`)
  const [note] = await found('indexes')
  assert.equal(note?.level, 'note')
  const statements = note?.mend?.match(/CREATE INDEX CONCURRENTLY [^;]+;/g) ?? []
  assert.equal(statements.length, 3, note?.mend)
  for (const statement of statements) await pipeline.query(statement)
  assert.deepEqual(await found('indexes'), [])
  const built = await pipeline.query<{ name: string }>(
    `SELECT indexname AS name FROM pg_indexes WHERE tablename = 'events' AND indexdef ~ 'WHERE|brin' ORDER BY 1`,
  )
  assert.deepEqual(
    built.map(({ name }) => name),
    [
      'events_anonymous_id_timestamp_idx',
      'events_received_at_idx',
      'events_timestamp_idx',
      'events_user_id_timestamp_idx',
    ],
  )
})

test('an API with another USER_ID_TYPE than the column: the doctor says which user ids suffer, and the remedy', async () => {
  const text = await pipeline.startApi({ USER_ID_TYPE: 'text' })
  const [worse] = await found('api', '--api', text.url)
  assert.equal(worse?.level, 'critical')
  assert.match(worse?.text ?? '', /the sink pauses/)
  const statement = /ALTER TABLE[^;]+;/.exec(worse?.mend ?? '')?.[0]
  assert.ok(statement !== undefined, worse?.mend)
  await pipeline.query(statement)
  assert.equal(await columnType(), 'text')
  assert.deepEqual(await found('api', '--api', text.url), [])

  const bigint = await pipeline.startApi()
  const [strict] = await found('api', '--api', bigint.url)
  assert.equal(strict?.level, 'warning')
  const refused = await fetch(`${bigint.url}/event`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"user_id":"abc","timestamp":"2026-01-02","metadata":{}}',
  })
  assert.equal(refused.status, 422)
  assert.match(strict?.mend ?? '', /^Set USER_ID_TYPE=text/)
})

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Client } from 'pg'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { withProducer } from '../support/records.ts'
import { storedRows } from '../support/sink-health.ts'
import { createTopic } from '../support/topic.ts'

/* Records as other producers write them: every form in which an event is read is stored as it means, and verify agrees. */

const MARK = '\ufeff'
const record = (user: string, timestamp: string): string =>
  `{"user_id":${user},"timestamp":"${timestamp}","metadata":{"n":1.50}}`

const CASES: [value: string, userId: string, timestamp: string][] = [
  [`${MARK}${record('1', '2026-01-02T03:04:05Z')}`, '1', '2026-01-02T03:04:05.000000Z'],
  [record('"157963456373623803"', '2026-01-02'), '157963456373623803', '2026-01-02T00:00:00.000000Z'],
  [record('42.0', '2026-01-02T03:04Z'), '42', '2026-01-02T03:04:00.000000Z'],
  [record('-1.5e1', '2026-01-02 03:04:05 +0100'), '-15', '2026-01-02T02:04:05.000000Z'],
  [record('2', '2026-01-02T03:04:05,1234569+01'), '2', '2026-01-02T02:04:05.123456Z'],
  [
    record('3', '2026-01-02T03:04:05.5+01:00[Europe/Paris][u-ca=iso8601]'),
    '3',
    '2026-01-02T02:04:05.500000Z',
  ],
  [record('4', '2026-01-02 03:04:05 UTC'), '4', '2026-01-02T03:04:05.000000Z'],
  [record('5', '2016-12-31T23:59:60.25Z'), '5', '2017-01-01T00:00:00.250000Z'],
]

let pipeline: Pipeline

before(async () => {
  pipeline = await Pipeline.start()
  const { bootstrapServers } = pipeline.backend.kafka
  await createTopic(bootstrapServers, 1)
  await withProducer(bootstrapServers, async (send) => {
    await send(CASES.map(([value]) => ({ value })))
  })
  await pipeline.startSink()
})
after(async () => {
  await pipeline?.close()
})

test('I2: records in every form that is read are stored as they mean, and verify agrees', async () => {
  await storedRows(pipeline, CASES.length)
  const db = new Client({ connectionString: pipeline.backend.postgres.url })
  await db.connect()
  try {
    const { rows } = await db.query<{ user_id: string; timestamp: string; metadata: string }>(
      `SELECT user_id::text, to_char("timestamp" AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS timestamp,
         metadata::text FROM events`,
    )
    assert.deepEqual(
      new Map(rows.map((row) => [row.user_id, row.timestamp])),
      new Map(CASES.map(([, userId, timestamp]) => [userId, timestamp])),
    )
    assert.deepEqual(new Set(rows.map((row) => row.metadata)), new Set(['{"n": 1.50}']))
  } finally {
    await db.end()
  }
  const verdict = await pipeline.verify()
  assert.ok(verdict.ok, JSON.stringify(verdict))
})

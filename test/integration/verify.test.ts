import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, test } from 'node:test'
import { type Admin, Kafka, logLevel, type Producer } from 'kafkajs'
import { Client } from 'pg'
import { v5 as uuidV5 } from 'uuid'
import { type Backend, startBackend } from '../../proof/backends.ts'
import { eventOf, openRun } from '../../proof/events.ts'
import { type Verdict, verify } from '../../proof/verify.ts'
import { migrate } from '../../sink-worker/migrate.ts'

const topic = 'verify-test'
const dir = mkdtempSync(join(tmpdir(), 'firehose-verify-'))
const run = openRun({ seed: 'verify', startedAtMs: 1_750_000_000_000 })
/** Of another producer: no id, another order, more digits, and a field to ignore that jsonb could not hold. */
const FOREIGN =
  '{"metadata":{"v":1.50,"s":"\\\\u0000\\ud83d\\ude00"},"timestamp":"2026-01-02T03:04:05.1234567","user_id":7,"big":1e400000,"note":"\\u0000 \\ud800 \\\\u0000 \\ud83d\\ude00 \\udc00"}'
const NAMESPACE = '0c5e2bd5-6b4c-4b0e-9f0c-3a7d3c7fd6a1'

let backend: Backend
let kafka: Kafka
let admin: Admin
let producer: Producer
let db: Client
let clusterId: string

/*
 * Partition 0: 0-9 deleted; 10-1009 events 0-999; 1010 event 1000 again; 1011 no JSON, a dead letter; 1012 foreign.
 * Partition 1: 0-9 events 1000-1009 and 10 the marker of their transaction; 11 aborted and its marker 12; stored up to 13.
 * Partition 2: 0-4 events 2000-2004, 5 nested past any depth, of which the sink has read none.
 */
before(async () => {
  backend = await startBackend()
  await migrate(backend.postgres.url)
  db = new Client({ connectionString: backend.postgres.url })
  kafka = new Kafka({ brokers: [backend.kafka.bootstrapServers], logLevel: logLevel.NOTHING })
  admin = kafka.admin()
  producer = kafka.producer()
  await Promise.all([db.connect(), admin.connect(), producer.connect()])
  clusterId = (await admin.describeCluster()).clusterId
  await admin.createTopics({ waitForLeaders: true, topics: [{ topic, numPartitions: 3 }] })

  await send(
    0,
    Array.from({ length: 10 }, () => 'old'),
  )
  await admin.fetchTopicOffsets(topic) // makes kafkajs learn who leads the partitions
  await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '10' }] })
  await send(0, [...records(0, 1000), ...records(1000, 1), 'not JSON', FOREIGN])
  await sendInTransactions()
  await send(2, [...records(2000, 5), '['.repeat(100_000)])

  await store([...records(0, 1000), ...records(1000, 10)])
  await db.query(
    `INSERT INTO events (event_id, user_id, "timestamp", metadata, received_at)
     VALUES ($1, 7, '2026-01-02T03:04:05.123456Z', '{"v": 1.50, "s": "\\\\u0000😀"}', now())`,
    [uuidV5(`${clusterId}/${topic}/0/1012`, NAMESPACE)],
  )
  await db.query(
    `INSERT INTO dead_letters (cluster_id, topic, partition, "offset", value, reason, message)
     VALUES ($1, $2, 0, 1011, 'not JSON', 'undecodable', 'x')`,
    [clusterId, topic],
  )
  await db.query(
    `INSERT INTO sink_offsets (cluster_id, topic, partition, next_offset) VALUES ($1, $2, 0, 1013), ($1, $2, 1, 13)`,
    [clusterId, topic],
  )
  await db.query('CREATE TABLE saved AS SELECT * FROM events')
})

afterEach(() => db.query('TRUNCATE events; INSERT INTO events SELECT * FROM saved'))

after(async () => {
  rmSync(dir, { recursive: true })
  await Promise.allSettled([producer.disconnect(), admin.disconnect(), db.end()])
  await backend.close()
})

/** Canonical records of events `first` and following. */
function records(first: number, count: number): string[] {
  return Array.from({ length: count }, (_, i) => {
    const { eventId, userId, timestamp, metadata } = eventOf(run, first + i)
    const head = `{"event_id":"${eventId}","user_id":${userId},"timestamp":"${timestamp}"`
    return `${head},"received_at":"2026-01-01T00:00:00.000001Z","metadata":${metadata}}`
  })
}

async function send(partition: number, values: string[]): Promise<void> {
  await producer.send({ topic, messages: values.map((value) => ({ partition, value })) })
}

async function sendInTransactions(): Promise<void> {
  const transactional = kafka.producer({
    transactionalId: 'verify-test',
    maxInFlightRequests: 1,
    idempotent: true,
  })
  await transactional.connect()
  const committed = await transactional.transaction()
  await committed.send({ topic, messages: records(1000, 10).map((value) => ({ partition: 1, value })) })
  await committed.commit()
  const aborted = await transactional.transaction()
  await aborted.send({ topic, messages: records(1999, 1).map((value) => ({ partition: 1, value })) })
  await aborted.abort()
  await transactional.disconnect()
}

async function store(values: string[]): Promise<void> {
  await db.query(
    `INSERT INTO events (event_id, user_id, "timestamp", metadata, received_at)
     SELECT (r->>'event_id')::uuid, (r->>'user_id')::bigint, (r->>'timestamp')::timestamptz, r->'metadata',
       (r->>'received_at')::timestamptz FROM unnest($1::text[]) v, LATERAL (SELECT v::jsonb AS r) j`,
    [values],
  )
}

async function check(acked?: number[], bodyOf = (n: number) => eventOf(run, n).body): Promise<Verdict> {
  const ackedFile = join(dir, 'acked.tsv')
  if (acked !== undefined) {
    writeFileSync(ackedFile, acked.map((n) => `${eventOf(run, n).eventId}\t${bodyOf(n)}\n`).join(''))
  }
  return await verify({
    databaseUrl: backend.postgres.url,
    kafkaBootstrapServers: backend.kafka.bootstrapServers,
    topic,
    rangeRecords: 1,
    ...(acked === undefined ? {} : { ackedFile }),
  })
}

test('all that is stored, twice sent, dead or not yet read is accounted for', async () => {
  const verdict = await check([0, 999, 1003, 2001])
  assert.deepEqual(verdict, {
    ok: true,
    acked: 4,
    acked_stored: 3,
    acked_dead: 0,
    acked_not_yet_read: 1,
    acked_missing_count: 0,
    acked_missing: [],
    acked_different_count: 0,
    acked_different: [],
    records: 1013,
    stored: 1011,
    duplicates: 1,
    dead: 1,
    missing_count: 0,
    missing: [],
    different_count: 0,
    different: [],
    not_yet_read: 6,
    problems: [],
  })
  const { groups } = await admin.listGroups()
  assert.deepEqual(
    groups.filter(({ groupId }) => groupId.startsWith('firehose-verify-')),
    [],
    'its group is deleted',
  )
})

test('a row that was deleted is named MISSING, with its coordinates', async () => {
  const { eventId } = eventOf(run, 1004)
  await db.query('DELETE FROM events WHERE event_id = $1', [eventId])
  const verdict = await check([1004, 1005])
  const found = { event_id: eventId, partition: 1, offset: '4' }
  assert.equal(verdict.ok, false)
  assert.equal(verdict.missing_count, 1)
  assert.deepEqual(verdict.missing, [{ ...found, why: 'neither in events nor in dead_letters' }])
  assert.deepEqual(verdict.acked_missing, [{ ...found, why: 'in Kafka, but not in the tables' }])
})

test('an acknowledged event that is nowhere is MISSING', async () => {
  const verdict = await check([5555])
  assert.equal(verdict.ok, false)
  assert.equal(verdict.missing_count, 0)
  assert.equal(verdict.acked_missing_count, 1)
  assert.equal(verdict.acked_missing[0]?.partition, null)
})

for (const [column, change] of [
  ['user_id', 'user_id = user_id + 1'],
  ['timestamp', `"timestamp" = "timestamp" + interval '1 microsecond'`],
  ['metadata', `metadata = jsonb_set(metadata, '{view,h}', '-1')`],
  // Equal as a number, but not what was sent: a store that reads numbers as floating point does this.
  ['metadata', `metadata = replace(metadata::text, '.50', '.5')::jsonb`],
] as const) {
  test(`a changed ${column} is named DIFFERENT (${change})`, async () => {
    const { eventId } = eventOf(run, 7)
    await db.query(`UPDATE events SET ${change} WHERE event_id = $1`, [eventId])
    const verdict = await check([7, 8])
    assert.equal(verdict.ok, false)
    assert.equal(verdict.different_count, 1)
    assert.deepEqual(verdict.different, [{ event_id: eventId, partition: 0, offset: '17', why: column }])
    assert.equal(verdict.acked_different_count, 1)
    assert.equal(verdict.acked_stored, 1)
  })
}

test('a dead letter that holds another value is DIFFERENT, one that is gone is MISSING', async () => {
  await db.query(`UPDATE dead_letters SET value = 'other'`)
  const changed = await check()
  assert.equal(changed.different[0]?.offset, '1011')
  await db.query(`UPDATE dead_letters SET "offset" = 1`)
  const gone = await check()
  assert.deepEqual(gone.missing, [
    { event_id: null, partition: 0, offset: '1011', why: 'not a JSON object, and no dead letter' },
  ])
  await db.query(`UPDATE dead_letters SET "offset" = 1011, value = 'not JSON'`)
})

test('offsets that cannot be right are problems (I9)', async () => {
  await db.query('UPDATE sink_offsets SET next_offset = 3 WHERE partition = 0')
  const expired = await check()
  assert.deepEqual(expired.problems, ['partition 0: offsets 3 to 9 expired before they were stored'])
  assert.equal(expired.not_yet_read, 1009)
  await db.query('UPDATE sink_offsets SET next_offset = 5000 WHERE partition = 0')
  const recreated = await check()
  assert.match(recreated.problems[0] ?? '', /partition 0 ends at 1013, but 5000 was stored/)
  await db.query('UPDATE sink_offsets SET next_offset = 1013 WHERE partition = 0')
  assert.equal(recreated.ok || expired.ok, false)
})

test('an id that is stored twice is a problem', async () => {
  const { eventId } = eventOf(run, 7)
  await db.query('ALTER TABLE events DROP CONSTRAINT events_pkey')
  await db.query('INSERT INTO events SELECT * FROM saved WHERE event_id = $1', [eventId])
  const verdict = await check()
  assert.equal(verdict.ok, false)
  assert.equal(verdict.problems[1], `${eventId} is stored more than once`)
  await db.query('TRUNCATE events; ALTER TABLE events ADD PRIMARY KEY (event_id)')
})

test('a topic that does not exist is one sentence', async () => {
  const nowhere = { databaseUrl: backend.postgres.url, kafkaBootstrapServers: backend.kafka.bootstrapServers }
  await assert.rejects(verify({ ...nowhere, topic: 'no-such-topic' }), /Kafka has no topic "no-such-topic"/)
})

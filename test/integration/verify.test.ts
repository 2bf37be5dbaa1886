import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { after, afterEach, before, test } from 'node:test'
import { type Admin, Kafka, logLevel, type Producer } from 'kafkajs'
import { Client } from 'pg'
import { v5 as uuidV5 } from 'uuid'
import { type Backend, startBackend } from '../../tools/stack/backends.ts'
import { eventOf, openRun } from '../../tools/load/events.ts'
import { untilStored, type WaitOptions } from '../../tools/verify/until-stored.ts'
import { type Finding, type Verdict, verify, type VerifyOptions } from '../../tools/verify/verify.ts'
import { migrate } from '../../postgres/migrate.ts'
import { until } from '../support/until.ts'

const topic = 'verify-test'
const dir = mkdtempSync(join(tmpdir(), 'firehose-verify-'))
const run = openRun({ seed: 'verify', startedAtMs: 1_750_000_000_000 })
/** A record of another producer: no id, another order, more digits, and an unknown field that jsonb could not hold. */
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
 * Partition 0: 0-9 deleted; 10-1009 events 0-999; 1010 event 1000 again; 1011 not JSON, a dead letter; 1012 foreign.
 * Partition 1: 0-9 events 1000-1009 and 10 the marker of their transaction; 11 aborted and its marker 12; stored up to 13.
 * Partition 2: 0-4 events 2000-2004, 5 nested too deeply; the sink has read none of them.
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
  await admin.fetchTopicOffsets(topic) // makes kafkajs load the leaders of the partitions
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

function ackedLines(events: readonly number[]): string {
  return events.map((n) => `${eventOf(run, n).eventId}\t${eventOf(run, n).body}\n`).join('')
}

async function check(acked?: number[], options: Partial<VerifyOptions> = {}): Promise<Verdict> {
  const ackedFile = join(dir, 'acked.tsv')
  if (acked !== undefined) writeFileSync(ackedFile, ackedLines(acked))
  return await verify({
    databaseUrl: backend.postgres.url,
    kafkaBootstrapServers: backend.kafka.bootstrapServers,
    topic,
    rangeRecords: 1,
    ...(acked === undefined ? {} : { ackedFile }),
    ...options,
  })
}

async function ownGroups(): Promise<string[]> {
  const { groups } = await admin.listGroups()
  return groups.map(({ groupId }) => groupId).filter((groupId) => groupId.startsWith('firehose-verify-'))
}

async function ownSessions(): Promise<number> {
  const { rowCount } = await db.query(
    `SELECT 1 FROM pg_stat_activity WHERE application_name = 'firehose-verify'`,
  )
  return rowCount ?? 0
}

/** Runs `npx firehose verify ...args`. */
function command(...args: string[]) {
  const child = spawn(
    process.execPath,
    ['--disable-warning=TimeoutNegativeWarning', 'cli/firehose.ts', 'verify', ...args],
    {
      cwd: fileURLToPath(new URL('../..', import.meta.url)),
      env: {
        ...process.env,
        DATABASE_URL: backend.postgres.url,
        KAFKA_BOOTSTRAP_SERVERS: backend.kafka.bootstrapServers,
        KAFKA_TOPIC: topic,
      },
    },
  )
  const [out, said] = [text(child.stdout), text(child.stderr)]
  const exited = once(child, 'close') as Promise<[number | null]>
  return { child, result: async () => ({ code: (await exited)[0], out: await out, said: await said }) }
}

test('records that are stored, sent twice, dead-lettered or not yet read are all counted', async () => {
  const verdict = await check([0, 999, 1003, 2001])
  assert.deepEqual(verdict, {
    ok: true,
    acked: 4,
    acked_stored: 3,
    acked_dead: 0,
    acked_past_retention: 0,
    acked_not_yet_read: 1,
    acked_not_judged: 0,
    acked_missing_count: 0,
    acked_missing: [],
    acked_different_count: 0,
    acked_different: [],
    records: 1013,
    stored: 1011,
    duplicates: 1,
    dead: 1,
    past_retention: 0,
    missing_count: 0,
    missing: [],
    missing_from: [],
    changed: 0,
    different_count: 0,
    different: [],
    not_yet_read: 6,
    group: 'firehose-sink-verify-test',
    unread_partitions: [2],
    unread_count: 6,
    held_back: [],
    held_back_count: 0,
    problems: [],
    // No sink has run here, which does not affect what is stored.
    notes: [
      "group firehose-sink-verify-test has no members: 6 records of partition 2 not yet read, waiting for a sink (or set KAFKA_GROUP_ID to the sinks' group)",
    ],
  })
  assert.deepEqual(await ownGroups(), [], 'its group is deleted')
})

test('a wait for the sink ends when all is stored, when nothing new is stored for a while, or by its signal', async () => {
  const waits: string[] = []
  const wait = async (options: Partial<WaitOptions>, databaseUrl = backend.postgres.url) => {
    const targets = { databaseUrl, kafkaBootstrapServers: backend.kafka.bootstrapServers, topic }
    const { signal } = new AbortController()
    await untilStored(targets, {
      stuckMs: 60_000,
      signal,
      onWait: (sentence) => waits.push(sentence),
      ...options,
    })
  }
  await wait({ stuckMs: 1 })
  assert.deepEqual(waits, ['6 records are not yet stored; nothing new for 0 of 0.001 s'])
  await wait({ signal: AbortSignal.abort() })
  const nobody = 'postgresql://127.0.0.1:1/x'
  await assert.rejects(wait({ stuckMs: 1 }, nobody), /ECONNREFUSED/)
  assert.match(
    waits[1] ?? '',
    /^PostgreSQL does not answer \(connect ECONNREFUSED .*\); nothing new for 0 of/,
  )
  const stored = async () => {
    await db.query('INSERT INTO sink_offsets VALUES ($1, $2, 2, 6) ON CONFLICT DO NOTHING', [
      clusterId,
      topic,
    ])
  }
  try {
    await wait({ onWait: () => void stored() })
  } finally {
    await db.query('DELETE FROM sink_offsets WHERE partition = 2')
  }
})

test('a deleted row is reported as MISSING, with its coordinates', async () => {
  const { eventId } = eventOf(run, 1004)
  await db.query('DELETE FROM events WHERE event_id = $1', [eventId])
  const verdict = await check([1004, 1005])
  const found = { event_id: eventId, partition: 1, offset: '4' }
  assert.equal(verdict.ok, false)
  assert.equal(verdict.missing_count, 1)
  assert.deepEqual(verdict.missing, [{ ...found, why: 'neither in events nor in dead_letters' }])
  assert.deepEqual(verdict.missing_from, [{ partition: 1, offset: '4' }])
  assert.deepEqual(verdict.acked_missing, [{ ...found, why: 'in Kafka, but not in the tables' }])
})

test('an acknowledged event without a row or record is MISSING', async () => {
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
  // The same number, but not as sent: a store that parses numbers as floating point does this.
  ['metadata', `metadata = replace(metadata::text, '.50', '.5')::jsonb`],
] as const) {
  test(`a changed ${column} is reported as DIFFERENT (${change})`, async () => {
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

test('a dead letter with another value is DIFFERENT, a deleted one is MISSING', async () => {
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

test('an id stored twice is a problem', async () => {
  const { eventId } = eventOf(run, 7)
  await db.query('ALTER TABLE events DROP CONSTRAINT events_pkey')
  await db.query('INSERT INTO events SELECT * FROM saved WHERE event_id = $1', [eventId])
  const verdict = await check()
  assert.equal(verdict.ok, false)
  assert.equal(verdict.problems[1], `${eventId} is stored more than once`)
  await db.query('TRUNCATE events; ALTER TABLE events ADD PRIMARY KEY (event_id)')
})

test('a missing topic is reported in one sentence', async () => {
  const nowhere = { databaseUrl: backend.postgres.url, kafkaBootstrapServers: backend.kafka.bootstrapServers }
  await assert.rejects(verify({ ...nowhere, topic: 'no-such-topic' }), /Kafka has no topic "no-such-topic"/)
})

test('every finding is reported as soon as it is found; the verdict lists the first 100', async () => {
  const ids = Array.from({ length: 150 }, (_, n) => eventOf(run, n).eventId)
  await db.query('DELETE FROM events WHERE event_id = ANY($1)', [ids])
  const found: Finding[] = []
  const onFinding = (kind: string, finding: Finding) => {
    assert.equal(kind, 'missing')
    found.push(finding)
  }
  const verdict = await check(undefined, { onFinding })
  assert.equal(verdict.missing_count, 150)
  assert.deepEqual(verdict.missing, found.slice(0, 100))
  const places = found.map(({ event_id, partition, offset }) => `${event_id} ${partition} ${offset}`)
  assert.deepEqual(places.toSorted(), ids.map((id, n) => `${id} 0 ${n + 10}`).toSorted())
})

test('a replayed dead letter counts as a dead letter, whatever id its row has', async () => {
  await db.query(`UPDATE dead_letters SET state = 'replayed'`)
  await db.query(
    `INSERT INTO events SELECT 'c0ffee00-0000-5000-8000-000000000000', user_id, "timestamp", metadata, received_at
     FROM saved LIMIT 1`,
  )
  const verdict = await check()
  assert.deepEqual([verdict.ok, verdict.dead, verdict.stored], [true, 1, 1011])
  await db.query(`UPDATE dead_letters SET state = 'open'`)
})

test('an acknowledged event counts as a dead letter only if the content matches, not because of its id', async () => {
  const { eventId, body } = eventOf(run, 7)
  const addDeadLetter = async (value: string) =>
    await db.query(
      `INSERT INTO dead_letters (cluster_id, topic, partition, "offset", event_id, value, reason, message)
       VALUES ($1, $2, 0, 5000, $3, $4, 'event_id_conflict', 'x')`,
      [clusterId, topic, eventId, value],
    )
  await db.query('DELETE FROM events WHERE event_id = $1', [eventId])
  await addDeadLetter(body.replace('"page"', '"pag"'))
  const other = await check([7])
  assert.deepEqual([other.acked_dead, other.acked_missing_count], [0, 1])
  await db.query('DELETE FROM dead_letters WHERE "offset" = 5000')
  await addDeadLetter(body)
  const own = await check([7])
  assert.deepEqual([own.acked_dead, own.acked_missing_count], [1, 0])
  await db.query('DELETE FROM dead_letters WHERE "offset" = 5000')
})

test('an aborted comparison removes what it created in Kafka and PostgreSQL', async () => {
  const stop = new AbortController()
  const reason = new Error('enough')
  const running = check(undefined, { signal: stop.signal, onProgress: () => stop.abort(reason) })
  await assert.rejects(running, reason)
  assert.deepEqual(await ownGroups(), [])
  await until('its session is gone', async () => (await ownSessions()) === 0)
})

test('the command reads acknowledged events from standard input and can print its verdict as JSON', async () => {
  await db.query('DELETE FROM events WHERE event_id = $1', [eventOf(run, 1004).eventId])
  const { child, result } = command('--acked', '-', '--json')
  child.stdin.end(ackedLines([0, 1, 1004]))
  const { code, out } = await result()
  const verdict = JSON.parse(out) as Verdict
  assert.deepEqual([code, verdict.acked_stored, verdict.acked_missing[0]?.offset], [1, 2, '4'])
})

test('Ctrl-C ends the command with exit code 130 and a message', async () => {
  const { child, result } = command('--acked', '-')
  await until('it waits for standard input', async () => (await ownSessions()) > 0)
  child.kill('SIGINT')
  const { code, out, said } = await result()
  assert.deepEqual([code, out], [130, ''])
  assert.match(said, /^Stopping/)
})

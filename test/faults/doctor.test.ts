import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, test, type TestContext } from 'node:test'
import kafkajs, { type Admin } from 'kafkajs'
import type { NodeService } from '../../embedded/node-service.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { migrate } from '../../postgres/migrate.ts'
import { alarms, diagnose, type Diagnosis, textOf } from '../support/diagnosis.ts'
import { kafkaClient, record, transactionalProducer, withProducer } from '../support/records.ts'
import { until } from '../support/until.ts'

/* The doctor on a real Kafka and PostgreSQL: things are broken one by one, and it must report exactly those. */

const HOUR_MS = 3_600_000
const AS_CREATED = { 'retention.ms': String(168 * HOUR_MS), 'message.timestamp.type': 'LogAppendTime' }
const RESET_SETTINGS = [
  'ALTER SYSTEM RESET ALL',
  'SELECT pg_reload_conf()',
  'ALTER ROLE firehose RESET ALL',
  'ALTER DATABASE firehose RESET ALL',
]
const pipeline = await Pipeline.start({ KAFKA_TOPIC_PARTITIONS: '1' })
const admin: Admin = kafkaClient(pipeline.backend.kafka.bootstrapServers).admin()
let sink: NodeService
let api: NodeService

before(async () => {
  await admin.connect()
  api = await pipeline.startApi()
})
beforeEach(async () => {
  await recreateTopic()
  await pipeline.query('TRUNCATE events, dead_letters, sink_offsets')
  sink = await pipeline.startSink()
})
afterEach(async () => {
  await sink.stop(10_000)
})
after(async () => {
  await admin.disconnect()
  await pipeline.close()
})

test('a healthy stack: only notes, exit code 0, and nothing is changed', async () => {
  await send([record(1)])
  await until('stored', async () => (await pipeline.countEvents()) === 1)
  const state = async () => ({
    groups: (await admin.listGroups()).groups.map(({ groupId }) => groupId),
    topics: (await admin.listTopics()).toSorted(),
    offsets: await pipeline.query('SELECT xmin, * FROM sink_offsets'),
    tables: await pipeline.query('SELECT relname FROM pg_class ORDER BY 1'),
  })
  const untouched = await state()
  const { code, findings, lag } = await doctor()
  assert.deepEqual(alarms(findings), [])
  assert.equal(code, 0)
  assert.equal(lag?.records, 0)
  assert.deepEqual(await state(), untouched)
})

test('a stopped sink: the runway is computed from the timestamp of the oldest unread record', async () => {
  await sink.stop(10_000)
  await alterTopic({ ...AS_CREATED, 'message.timestamp.type': 'CreateTime' })
  const oldMs = Date.now() - 127 * HOUR_MS
  await send([record(1), record(2)], oldMs)
  await send([record(3)])
  const { code, findings, lag } = await doctor()
  assert.deepEqual(alarms(findings), ['critical group', 'critical lag', 'critical sink', 'warning retention'])
  assert.match(textOf(findings, 'retention'), /expire by the clock of the API/)
  assert.match(
    textOf(findings, 'lag'),
    /^3 records not stored, the oldest for 5 days; at this rate it expires in (39|40|41) h/,
  )
  assert.match(textOf(findings, 'group'), /No sink is reading/)
  assert.equal(code, 2)
  assert.ok(Math.abs((lag?.oldest_s ?? 0) - 127 * 3_600) < 0.011 * 127 * 3_600, `oldest ${lag?.oldest_s} s`)
})

test('no API at the default address is a warning, unless --api or --skip says otherwise', async () => {
  await send([record(1)])
  await until('stored', async () => (await pipeline.countEvents()) === 1)
  const atDefault = async (...options: string[]) =>
    await diagnose({ ...pipeline.env, PORT: '1' }, ['--sink', sink.url, ...options])
  const { code, findings } = await atDefault()
  assert.deepEqual([code, alarms(findings)], [1, ['warning api']])
  assert.match(
    textOf(findings, 'api'),
    /No API answers at http:\/\/127\.0\.0\.1:1 .*if it should run there, no event/,
  )
  assert.equal((await atDefault('--skip', 'api')).code, 0)
  assert.equal((await atDefault('--api', api.url)).code, 0)
  assert.equal((await atDefault('--api', 'http://127.0.0.1:1')).code, 2)
})

test('the rates of received and stored events are measured between two observations', async () => {
  const stop = new AbortController()
  const producing = (async () => {
    for (let n = 0; !stop.signal.aborted; n++) await send([record(n)])
  })()
  const { findings, lag } = await doctor('--check', 'lag')
  stop.abort()
  await producing
  assert.deepEqual(alarms(findings), [])
  assert.ok((lag?.produced_per_s ?? 0) > 0 && (lag?.stored_per_s ?? 0) > 0, JSON.stringify(lag))
})

test('an open transaction: how many records it holds back, its age, and how to find out whether it hangs', async (t) => {
  const producer = await transactionalProducer(pipeline.backend.kafka.bootstrapServers, 'another')
  t.after(async () => await producer.disconnect())
  await alterTopic({ ...AS_CREATED, 'message.timestamp.type': 'CreateTime' })
  await send([record(1)], Date.now() - 600_000) // Kafka's time index needs an earlier record
  const transaction = await producer.transaction()
  const timestamp = String(Date.now() - 300_000) // an import writes old records too, so this is only a warning
  await transaction.send({ topic: 'events', messages: [{ value: record(2), partition: 0, timestamp }] })
  await send([record(3), record(4)])
  const { code, findings, lag } = await doctor()
  assert.deepEqual(alarms(findings), ['warning lag', 'warning transactions', 'warning retention'])
  assert.match(
    textOf(findings, 'transactions'),
    /^3 records of partition 0 wait for an open transaction of another producer; its first record is dated \S+Z \(5 min ago\)/,
  )
  assert.match(
    findings.find(({ check }) => check === 'transactions')?.mend ?? '',
    /find-hanging --topic events; then abort the transaction that this lists/,
  )
  assert.deepEqual([code, lag?.records], [1, 3])
  await transaction.commit()
  await until('stored', async () => (await pipeline.countEvents()) === 4)
  await alterTopic(AS_CREATED)
  assert.deepEqual(alarms((await doctor()).findings), [])
})

test("the topic's settings: retention, size, compaction, missing replicas", async () => {
  await alterTopic({
    ...AS_CREATED,
    'retention.ms': String(HOUR_MS),
    'max.message.bytes': '500000',
    'min.insync.replicas': '2',
  })
  const { code, findings } = await doctor('--skip', 'api')
  assert.deepEqual(alarms(findings), ['critical topic', 'critical replication', 'warning retention'])
  assert.match(textOf(findings, 'retention'), /for only 60 min/)
  assert.match(
    textOf(findings, 'replication'),
    /Partition 0 has 1 of 1 replicas in sync: min\.insync\.replicas is 2/,
  )
  assert.match(textOf(findings, 'topic'), /max\.message\.bytes is 500000/)
  assert.equal(code, 2)
  await alterTopic({ ...AS_CREATED, 'cleanup.policy': 'compact', 'retention.bytes': '1000000' })
  const next = await doctor('--check', 'topic', '--check', 'retention')
  assert.deepEqual(alarms(next.findings), ['critical topic', 'warning retention'])
})

test('I9: a recreated topic is reported for the same reason as by the sink', async () => {
  await send([record(1), record(2)])
  await until('stored', async () => (await pipeline.countEvents()) === 2)
  await sink.stop(10_000)
  await recreateTopic()
  const { code, findings } = await doctor('--check', 'offsets')
  assert.match(textOf(findings, 'offsets'), /The sink stops: partition 0 ends at offset 0, but 2 was written/)
  assert.match(findings[0]?.mend ?? '', /npx firehose adopt/)
  assert.equal(code, 2)
})

test('I9: records that expired before they were stored are counted', async () => {
  await send([record(1)])
  await until('stored', async () => (await pipeline.countEvents()) === 1)
  await sink.stop(10_000)
  await send([record(2), record(3), record(4)])
  await admin.fetchTopicMetadata({ topics: ['events'] }) // deleteTopicRecords wants it loaded
  await admin.deleteTopicRecords({ topic: 'events', partitions: [{ partition: 0, offset: '3' }] })
  const { code, findings } = await doctor('--check', 'offsets')
  assert.match(textOf(findings, 'offsets'), /2 records of partition 0 expired/)
  assert.equal(code, 2)
})

test('indexes: a dropped primary key and an invalid index', async (t) => {
  afterwards(
    t,
    'DROP INDEX IF EXISTS broken_idx',
    'TRUNCATE events',
    'ALTER TABLE events ADD PRIMARY KEY (event_id)',
  )
  await pipeline.query('ALTER TABLE events DROP CONSTRAINT events_pkey')
  await pipeline.query(
    `INSERT INTO events VALUES (gen_random_uuid(), 1, now(), '{}', now()), (gen_random_uuid(), 1, now(), '{}', now())`,
  )
  await assert.rejects(
    pipeline.query('CREATE UNIQUE INDEX CONCURRENTLY broken_idx ON events_other (user_id)'),
  )
  const { code, findings } = await doctor()
  assert.deepEqual(alarms(findings), ['critical indexes', 'warning indexes'])
  assert.match(
    textOf(findings, 'indexes'),
    /no unique index on \(event_id\).*stored twice.*broken_idx on "events_other" is invalid/,
  )
  assert.equal(code, 2)
})

test('the table events: altered types, a required column, unlogged', async (t) => {
  afterwards(
    t,
    'ALTER TABLE events_other SET LOGGED',
    'ALTER TABLE events ALTER COLUMN user_id TYPE bigint, DROP COLUMN tenant',
  )
  await pipeline.query(
    'ALTER TABLE events ALTER COLUMN user_id TYPE integer, ADD COLUMN tenant text NOT NULL',
  )
  await pipeline.query('ALTER TABLE events_other SET UNLOGGED')
  const { findings } = await doctor()
  assert.deepEqual(alarms(findings), ['critical tables', 'critical tables', 'critical tables'])
  assert.match(
    textOf(findings, 'tables'),
    /user_id integer.*tenant of "events" is NOT NULL.*"events_other" is UNLOGGED/,
  )
})

test("the server's settings: fsync and full_page_writes off; synchronous_commit off for the role; a short timeout", async (t) => {
  afterwards(t, ...RESET_SETTINGS)
  await pipeline.query('ALTER SYSTEM SET fsync = off')
  await pipeline.query('ALTER SYSTEM SET full_page_writes = off')
  await pipeline.query('SELECT pg_reload_conf()')
  await pipeline.query('ALTER ROLE firehose SET synchronous_commit = off')
  await pipeline.query(`ALTER DATABASE firehose SET statement_timeout = '9s'`)
  await until(
    'reloaded',
    async () => (await pipeline.query<{ fsync: string }>('SHOW fsync'))[0]?.fsync === 'off',
  )
  const { code, findings } = await doctor()
  assert.deepEqual(alarms(findings), ['critical durability', 'warning durability', 'warning timeouts'])
  assert.match(
    textOf(findings, 'durability'),
    /fsync is off.*full_page_writes is off.*synchronous_commit is off for firehose/,
  )
  assert.match(textOf(findings, 'timeouts'), /statement_timeout is 9000ms for firehose/)
  assert.equal(code, 2)
})

test('a lock: who holds it, even if it makes the offsets unreadable', async () => {
  const client = await pipeline.db.connect()
  const [{ pid } = { pid: 0 }] = (await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')).rows
  await client.query('BEGIN; LOCK TABLE events IN SHARE MODE')
  const { code, findings } = await doctor()
  await client.query('LOCK TABLE sink_offsets IN ACCESS EXCLUSIVE MODE')
  const hidden = await doctor('--skip', 'sink')
  await client.query('ROLLBACK')
  client.release()
  assert.deepEqual(alarms(findings), ['warning locks'])
  assert.match(
    textOf(findings, 'locks'),
    new RegExp(`pid ${pid}, idle in transaction, holds events for \\d+ s`),
  )
  assert.equal(code, 1)
  assert.deepEqual(alarms(hidden.findings), ['warning locks', 'unknown lag'])
  assert.match(textOf(hidden.findings, 'locks'), /holds (events and sink_offsets|sink_offsets and events)/)
})

test("the sink's role: missing privileges are reported, and the doctor needs no more privileges than the sink", async (t) => {
  await migrate(pipeline.backend.postgres.url, { sinkRole: { name: 'firehose_sink', password: 'sink' } })
  const url = new URL(pipeline.backend.postgres.url)
  url.username = 'firehose_sink'
  url.password = 'sink'
  await sink.stop(10_000)
  sink = await pipeline.startSink({ DATABASE_URL: url.href })
  assert.deepEqual(alarms((await doctor({ DATABASE_URL: url.href })).findings), [])
  afterwards(t, 'GRANT INSERT ON events TO firehose_sink')
  await pipeline.query('REVOKE INSERT ON events FROM firehose_sink')
  const { code, findings } = await doctor('--skip', 'sink') // run as the owner, it checks the role of the sink
  assert.deepEqual(alarms(findings), ['critical rights'])
  assert.match(textOf(findings, 'rights'), /firehose_sink lacks INSERT on events: the sink stops/)
  assert.match(findings[0]?.mend ?? '', /^GRANT INSERT ON events TO firehose_sink; \("npx firehose migrate/)
  assert.equal(code, 2)
})

test('open dead letters are a warning', async () => {
  await send(['junk', 'more junk'])
  await until('dead-lettered', async () => (await pipeline.query('SELECT 1 FROM dead_letters')).length === 2)
  const { code, findings } = await doctor()
  assert.deepEqual(alarms(findings), ['warning dead-letters'])
  assert.match(textOf(findings, 'dead-letters'), /2 open dead letters \(2 undecodable\)/)
  assert.equal(code, 1)
})

test('PostgreSQL down or frozen: Kafka is still checked, within seconds', async (t) => {
  t.after(async () => {
    await pipeline.backend.postgres.kill()
    await pipeline.backend.postgres.start()
  })
  await pipeline.backend.postgres.kill()
  const down = await doctor('--skip', 'sink')
  assert.deepEqual(alarms(down.findings), ['critical postgres'])
  assert.match(textOf(down.findings, 'postgres'), /cannot be reached \(.*ECONNREFUSED/)
  assert.match(textOf(down.findings, 'retention'), /for 7 days/)
  assert.equal(down.code, 2)
  await pipeline.backend.postgres.start()
  await pipeline.backend.postgres.freeze()
  const began = performance.now()
  const frozen = await doctor('--skip', 'sink')
  assert.ok(performance.now() - began < 20_000)
  assert.deepEqual(alarms(frozen.findings), ['critical postgres'])
})

test('synchronous_commit off: a crash undoes commits, and the sink reads their records again', async (t) => {
  afterwards(t, ...RESET_SETTINGS)
  await pipeline.query('ALTER ROLE firehose SET synchronous_commit = off')
  await pipeline.query(`ALTER SYSTEM SET wal_writer_delay = '10s'`)
  await pipeline.query('SELECT pg_reload_conf()')
  await sink.stop(10_000)
  await sink.start()
  // The WAL writer sleeps for its old delay once more; after that it flushes every 10 s.
  const flushed = async () =>
    (await pipeline.query<{ lsn: string }>('SELECT pg_current_wal_flush_lsn() AS lsn'))[0]?.lsn
  let rows = 0
  await until('commits that are not flushed', async () => {
    await send([record(rows)])
    rows += 1
    await until('stored', async () => (await pipeline.countEvents()) === rows)
    const lsn = await flushed()
    await send([record(rows)])
    rows += 1
    await until('stored', async () => (await pipeline.countEvents()) === rows)
    return (await flushed()) === lsn
  })
  const offset = async () =>
    (await pipeline.query<{ next_offset: string }>('SELECT next_offset FROM sink_offsets'))[0]?.next_offset
  await sink.freeze() // so that the rows that the crash undid can be counted
  await pipeline.backend.postgres.kill()
  await pipeline.backend.postgres.start()
  const survived = await pipeline.countEvents()
  assert.ok(survived < rows, `the crash undid nothing: ${survived} of ${rows}`)
  assert.equal(await offset(), String(survived), 'rows and offsets were undone together')
  sink.thaw()
  await until('stored again', async () => (await pipeline.countEvents()) === rows)
})

test('Kafka down: PostgreSQL is still checked, and checks without facts are unknown', async (t) => {
  t.after(async () => {
    await pipeline.backend.kafka.start()
  })
  await pipeline.backend.kafka.kill()
  const down = await doctor('--skip', 'sink', '--skip', 'api')
  assert.deepEqual(alarms(down.findings), ['critical kafka'])
  assert.match(textOf(down.findings, 'indexes'), /All \d+ indexes are valid/)
  assert.equal(down.code, 2)
  const lag = await doctor('--check', 'lag')
  assert.deepEqual(alarms(lag.findings), ['unknown lag'])
  assert.equal(lag.code, 3)
  const wrong = await doctor({ KAFKA_BOOTSTRAP_SERVERS: 'nowhere' })
  assert.equal(wrong.code, 78)
  assert.match(wrong.words, /^FIREHOSE UNKNOWN: The settings are invalid:\n.*must be host:port/)
  assert.equal((await doctor('--check', 'nothing')).code, 64)
})

/** Runs `npx firehose doctor --json ...`; an object changes the environment. */
async function doctor(...args: (string | Record<string, string>)[]): Promise<Diagnosis> {
  const env = Object.assign({}, pipeline.env, ...args.filter((arg) => typeof arg !== 'string'))
  const options = args.filter((arg) => typeof arg === 'string')
  return await diagnose(env, ['--api', api.url, '--sink', sink.url, ...options])
}

/** Restores what a test breaks, even if it fails. */
function afterwards(t: TestContext, ...statements: string[]): void {
  t.after(async () => {
    for (const statement of statements) await pipeline.query(statement)
  })
}

async function send(values: readonly string[], timestampMs = Date.now()): Promise<void> {
  await withProducer(pipeline.backend.kafka.bootstrapServers, async (produce) => {
    await produce(values.map((value) => ({ value, partition: 0, timestamp: String(timestampMs) })))
  })
}

/** Sets these configs, and resets all others to the defaults. */
async function alterTopic(configs: Record<string, string>): Promise<void> {
  await admin.alterConfigs({
    validateOnly: false,
    resources: [
      {
        type: kafkajs.ConfigResourceTypes.TOPIC,
        name: 'events',
        configEntries: Object.entries(configs).map(([name, value]) => ({ name, value })),
      },
    ],
  })
}

/** Creates the topic again, as the API does. */
async function recreateTopic(): Promise<void> {
  if ((await admin.listTopics()).includes('events')) await admin.deleteTopics({ topics: ['events'] })
  await until('the topic is deleted', async () => !(await admin.listTopics()).includes('events'))
  await until('the topic is created', async () => {
    try {
      const configEntries = Object.entries(AS_CREATED).map(([name, value]) => ({ name, value }))
      await admin.createTopics({ topics: [{ topic: 'events', numPartitions: 1, configEntries }] })
      const { topics } = await admin.fetchTopicMetadata({ topics: ['events'] })
      return topics[0]?.partitions[0]?.leader === 1
    } catch {
      return false // the old topic is still being deleted, or no leader is elected yet
    }
  })
}

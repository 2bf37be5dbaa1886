import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import kafkajs, { type IHeaders } from 'kafkajs'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { idOf, record, withProducer } from '../support/records.ts'
import { until } from '../support/until.ts'

/*
 * I6: only the bad record goes to dead_letters, its neighbours are stored, and the partition moves on; a broken table
 * dead-letters nothing.
 */

const { CompressionTypes } = kafkajs

let pipeline: Pipeline
let sinkUrl: string
let sinkDatabaseUrl: string

before(async () => {
  pipeline = await Pipeline.start()
  sinkDatabaseUrl = await leastPrivilegedUrl()
  sinkUrl = (await pipeline.startSink({ DATABASE_URL: sinkDatabaseUrl })).url
})
after(async () => {
  await pipeline?.close()
})

/** Runs `npx firehose dlq ...`. @returns its output and its exit code */
async function dlq(args: string[], env: NodeJS.ProcessEnv): Promise<{ code: number; said: string }> {
  const run = promisify(execFile)(process.execPath, ['cli/firehose.ts', 'dlq', ...args], { env })
  return await run.then(
    ({ stdout }) => ({ code: 0, said: stdout }),
    ({ code, stderr }: { code: number; stderr: string }) => ({ code, said: stderr }),
  )
}

/** The role that the README recommends for the sink; every write path is tested with it. */
async function leastPrivilegedUrl(): Promise<string> {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')
  const sql = /```sql\n(CREATE ROLE firehose_sink[\s\S]*?)```/.exec(readme)?.[1]
  assert.ok(sql)
  await pipeline.query(sql.replace("'...'", "'secret'"))
  const url = new URL(pipeline.backend.postgres.url)
  url.username = 'firehose_sink'
  url.password = 'secret'
  return url.href
}

async function send(...values: (string | Buffer | null)[]): Promise<void> {
  await withProducer(pipeline.backend.kafka.bootstrapServers, async (produce) => {
    await produce(values.map((value) => ({ value, partition: 0 })))
  })
}

async function sinkState(): Promise<{ state: string; reason?: string; total_dead: number }> {
  const response = await fetch(`${sinkUrl}/health`)
  return (await response.json()) as { state: string; reason?: string; total_dead: number }
}

async function isStored(n: number): Promise<boolean> {
  return (await pipeline.query('SELECT 1 FROM events WHERE event_id = $1', [idOf(n)])).length === 1
}

async function newestDeadLetters(count: number) {
  return await pipeline.query<{
    reason: string
    sqlstate: string | null
    message: string
    event_id: string | null
  }>('SELECT reason, sqlstate, message, event_id FROM dead_letters ORDER BY "offset" DESC LIMIT $1', [count])
}

test('I6: every kind of undecodable record becomes a dead letter, and its neighbours are stored', async () => {
  const poison: (string | Buffer | null)[] = [
    'not json',
    '',
    null,
    '[1]',
    '{"event_id":',
    record(900, { user_id: 9.5 }),
    record(901).replace('"user_id":901', '"user_id":9223372036854775808'),
    record(902, { timestamp: '10000-01-01T00:00:00Z' }),
    record(903, { metadata: { nul: '\0' } }),
    record(904, { metadata: [] }),
    record(905, { event_id: 'nope' }),
    record(906, { metadata: undefined }),
    Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]),
  ]
  const mixed = poison.flatMap((value, index) => [value, record(index + 1)])
  await send(...mixed, record(100))
  await until('the last record is stored', async () => await isStored(100))

  const dead = await pipeline.query<{ value: Buffer | null; reason: string }>(
    'SELECT value, reason FROM dead_letters ORDER BY "offset"',
  )
  assert.deepEqual(
    dead.map(({ value }) => value?.toString('latin1') ?? null),
    poison.map((value) => (value === null ? null : Buffer.from(value).toString('latin1'))),
  )
  assert.ok(dead.every(({ reason }) => reason === 'undecodable'))
  assert.equal(await pipeline.countEvents(), poison.length + 1)
})

test('records of other producers are stored: any field order, unknown fields, no id, no time', async () => {
  await send(
    '{"extra":{"nul":"\\u0000"},"metadata":{"a":1},"timestamp":"2026-05-01T12:00:00+02:00","user_id":7,"event_id":"00000000-0000-7000-8000-000000000200"}',
    record(201, { event_id: undefined, received_at: undefined }),
    record(202),
  )
  await until('stored', async () => await isStored(202))
  const [first] = await pipeline.query(
    `SELECT user_id, "timestamp" = '2026-05-01T10:00:00Z' AS same_time, metadata FROM events WHERE event_id = $1`,
    [idOf(200)],
  )
  assert.deepEqual(first, { user_id: '7', same_time: true, metadata: { a: 1 } })
  const [second] = await pipeline.query(
    `SELECT uuid_extract_version(event_id) AS version, now() - received_at < interval '1 minute' AS recent
     FROM events WHERE user_id = 201`,
  )
  assert.deepEqual(second, { version: 5, recent: true })
})

test('I2: the first of several events with one id stays; an identical one is a duplicate, a different one a dead letter', async () => {
  const earlier = (await sinkState()) as unknown as { total_duplicates: number }
  await send(record(300), record(300), record(300, { user_id: 1 }), record(301))
  await until('stored', async () => await isStored(301))
  const again = record(300, { metadata: { page: 'other' } })
  await send(again, record(300, { received_at: '2026-01-02T03:04:07.000000Z' }), record(302))
  await until('stored', async () => await isStored(302))

  const dead = await newestDeadLetters(2)
  assert.deepEqual(
    dead.map(({ reason, event_id }) => [reason, event_id]),
    [
      ['event_id_conflict', idOf(300)],
      ['event_id_conflict', idOf(300)],
    ],
  )
  const now = (await sinkState()) as unknown as { total_duplicates: number; total_dead: number }
  assert.equal(now.total_duplicates - earlier.total_duplicates, 2)
  const rows = await pipeline.query('SELECT user_id, metadata FROM events WHERE event_id = $1', [idOf(300)])
  assert.deepEqual(rows, [{ user_id: '300', metadata: { page: '/p/300' } }])
})

test('headers of any kind and zstd compression by other producers do not stop the sink', async () => {
  await withProducer(pipeline.backend.kafka.bootstrapServers, async (_send, producer) => {
    const headers: IHeaders = { text: 'a', repeated: ['a', Buffer.from([0xff, 0])] }
    const messages = [
      { value: record(350), partition: 0, headers },
      { value: 'poison', partition: 0, headers },
    ]
    await producer.send({ topic: 'events', messages, compression: CompressionTypes.ZSTD })
  })
  await until('stored', async () => await isStored(350))
  const [dead] = await pipeline.query(
    `SELECT headers, abs(extract(epoch FROM created_at) * 1000 - timestamp_ms) < 60000 AS has_record_time
     FROM dead_letters WHERE headers <> '{}'`,
  )
  assert.deepEqual(dead, { headers: { text: 'a', repeated: { base64: '/wA=' } }, has_record_time: true })
})

test("I6: a row that a user's constraint or trigger refuses becomes a dead letter that names the cause", async () => {
  await pipeline.query('ALTER TABLE events ADD CONSTRAINT user_is_not_404 CHECK (user_id <> 404)')
  await pipeline.query(`
    CREATE FUNCTION refuse_405() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN IF NEW.user_id = 405 THEN RAISE EXCEPTION 'no 405 here'; END IF; RETURN NEW; END $$;
    CREATE TRIGGER refuse_405 BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION refuse_405();
    CREATE FUNCTION drop_406() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN IF NEW.user_id = 406 THEN RETURN NULL; END IF; RETURN NEW; END $$;
    CREATE TRIGGER drop_406 BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION drop_406()`)
  const numbers = Array.from({ length: 40 }, (_, index) => 390 + index)
  await send(...numbers.map((n) => record(n)))
  await until('stored', async () => await isStored(429))

  const dead = await newestDeadLetters(3)
  assert.deepEqual(
    dead.map(({ event_id, sqlstate }) => [event_id, sqlstate]),
    [
      [idOf(406), null],
      [idOf(405), 'P0001'],
      [idOf(404), '23514'],
    ],
  )
  assert.match(dead[2]?.message ?? '', /user_is_not_404/)
  const stored = await pipeline.query('SELECT 1 FROM events WHERE user_id BETWEEN 390 AND 429')
  assert.equal(stored.length, 37)
  await pipeline.query('DROP TRIGGER refuse_405 ON events; DROP TRIGGER drop_406 ON events')
})

test("I2: once the constraint is dropped, the owner can replay the letter; the sink's role may not", async () => {
  await pipeline.query('ALTER TABLE events DROP CONSTRAINT user_is_not_404')
  const args = ['replay', '--event-id', idOf(404), '--yes']
  const asSink = await dlq(args, { ...pipeline.env, DATABASE_URL: sinkDatabaseUrl })
  assert.equal(asSink.code, 2)
  assert.match(asSink.said, /permission denied .*: run the command as the owner of the tables\.$/m)
  assert.equal(await isStored(404), false)
  const asOwner = await dlq(args, pipeline.env)
  assert.deepEqual([asOwner.code, await isStored(404)], [0, true])
  assert.match(asOwner.said, /^1 stored, 0 already stored, 0 stay as they are\.$/m)
})

test('I6: a constraint that refuses all rows pauses the sink, and nothing is dead-lettered', async () => {
  const { total_dead } = await sinkState()
  await pipeline.query('ALTER TABLE events ADD CONSTRAINT nothing_new CHECK (user_id < 500)')
  await send(...Array.from({ length: 30 }, (_, index) => record(500 + index)))
  const state = await until('paused', async () => {
    const now = await sinkState()
    return now.state === 'paused' ? now : undefined
  })
  assert.match(state.reason ?? '', /rows were refused/)
  assert.equal((await sinkState()).total_dead, total_dead)
  await pipeline.query('ALTER TABLE events DROP CONSTRAINT nothing_new')
  await until('stored', async () => await isStored(529))
  assert.equal((await sinkState()).total_dead, total_dead)
})

test('I6: one bad client does not stop the others: while some rows are stored, the table is not at fault', async () => {
  await pipeline.query('ALTER TABLE events ADD CONSTRAINT no_666 CHECK (user_id <> 666)')
  const bad = (n: number): string => record(n, { user_id: 666 })
  const isDeadLetter = async (n: number): Promise<boolean> =>
    (await pipeline.query('SELECT 1 FROM dead_letters WHERE event_id = $1', [idOf(n)])).length === 1
  for (let n = 0; n < 10; n++) {
    await send(bad(550 + n)) // alone in its batch
    await until('dead-lettered', async () => await isDeadLetter(550 + n))
  }
  // A subtransaction would hide it from the snapshot that `dlq` takes.
  const [letter] = await pipeline.query<{ is_outside: boolean }>(
    `SELECT d.xmin = o.xmin AS is_outside FROM dead_letters AS d JOIN sink_offsets AS o USING (cluster_id, topic, partition)
     WHERE d.event_id = $1`,
    [idOf(559)],
  )
  assert.equal(letter?.is_outside, true, 'the letter was written by the top-level transaction')
  await send(bad(560))
  const paused = await until('paused', async () => {
    const now = await sinkState()
    return now.state === 'paused' ? now : undefined
  })
  assert.match(
    paused.reason ?? '',
    /1 of 1 rows were refused \(no_666, 23514\), so nothing is dead-lettered: fix the constraint/,
  )
  await send(record(561))
  await until('the good one is stored', async () => await isStored(561))
  await until('the bad one is dead-lettered', async () => await isDeadLetter(560))
  await pipeline.query('ALTER TABLE events DROP CONSTRAINT no_666')
})

test('I6: an altered column pauses the sink with a reason; nothing is stored or dead-lettered until it is fixed', async () => {
  const { total_dead } = await sinkState()
  for (const [column, type, back] of [
    ['metadata', 'text', 'jsonb'],
    ['user_id', 'int', 'bigint'],
  ] as const) {
    await pipeline.query(`ALTER TABLE events ALTER ${column} TYPE ${type} USING ${column}::${type}`)
    const n = column === 'metadata' ? 600 : 601
    await send(record(n))
    const paused = await until('paused', async () => {
      const now = await sinkState()
      return now.state === 'paused' ? now : undefined
    })
    assert.match(paused.reason ?? '', /columns of "events"/)
    assert.equal(await isStored(n), false)
    await pipeline.query(`ALTER TABLE events ALTER ${column} TYPE ${back} USING ${column}::${back}`)
    await until('stored', async () => await isStored(n))
  }
  assert.equal((await sinkState()).total_dead, total_dead)
})

test('users may add columns, indexes and generated columns', async () => {
  await pipeline.query(`ALTER TABLE events ADD COLUMN country text NOT NULL DEFAULT 'nowhere',
    ADD COLUMN page text GENERATED ALWAYS AS (metadata ->> 'page') STORED`)
  // A unique index of the whole table would have to include event_id.
  await pipeline.query(
    'CREATE INDEX ON events (page); CREATE UNIQUE INDEX ON events_other (page) WHERE user_id >= 700',
  )
  await send(record(700), record(701, { metadata: { page: '/p/700' } }), record(702))
  await until('stored', async () => await isStored(702))
  assert.deepEqual(
    await pipeline.query('SELECT country, page FROM events WHERE event_id = $1', [idOf(702)]),
    [{ country: 'nowhere', page: '/p/702' }],
  )
  const [dead] = await newestDeadLetters(1)
  assert.deepEqual([dead?.reason, dead?.event_id], ['kept_out', idOf(701)])
})

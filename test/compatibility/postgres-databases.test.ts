import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { OtherDatabase } from '../support/databases.ts'
import { diagnose } from '../support/diagnosis.ts'
import { oldPostgres } from '../support/old-postgres.ts'
import { idOf, kafkaClient, record } from '../support/records.ts'
import { healthOf, pausedBy, postEvents, range } from '../support/sink-faults.ts'
import { caughtUp } from '../support/sink-health.ts'

/* Databases that are not as `npm start` and compose make them: their encoding, version and settings. */

let pipeline: Pipeline

before(async () => {
  pipeline = await Pipeline.start({ KAFKA_TOPIC_PARTITIONS: '1', FETCH_MAX_WAIT_MS: '50' })
})
after(async () => {
  await pipeline?.close()
})

for (const encoding of ['LATIN1', 'SQL_ASCII']) {
  test(`${encoding}: everything refuses and names the remedy, no good event is dead-lettered, and the remedy works`, async () => {
    const name = encoding.toLowerCase()
    const how = `TEMPLATE template0 ENCODING '${encoding}' LOCALE_PROVIDER libc LOCALE 'C'`
    const db = await OtherDatabase.create(pipeline, name, how)
    const refusal = new RegExp(
      `the database ${name} has the encoding ${encoding}, which cannot hold every event: `,
    )
    const migrated = await db.run('migrate')
    assert.equal(migrated.code, 1)
    assert.match(migrated.err, refusal)

    const api = await db.startApi()
    const sink = await db.spawnSink()
    await postEvents(api, range(0, 30), { price: '5 €', name: '\u4e2d\u6587 \\u00e9' })
    const { reason = '', needs_person } = await pausedBy(sink, refusal)
    assert.equal(needs_person, true)
    const { findings, code } = await diagnose(db.env, ['--check', 'postgres'])
    assert.equal(code, 2)
    assert.match(findings[0]?.text ?? '', /has the encoding/)
    const verified = await db.run('verify')
    assert.deepEqual([verified.code, refusal.test(verified.err)], [2, true], verified.err)

    const remedy = /\((CREATE DATABASE .*?;)\)/.exec(reason)?.[1] ?? ''
    await sink.stop(10_000)
    await pipeline.query(remedy)
    const good = new OtherDatabase(pipeline, `${name}_utf8`, { KAFKA_TOPIC: name })
    assert.equal((await good.run('migrate')).code, 0)
    const goodSink = await good.spawnSink()
    await good.stored(30)
    assert.equal((await healthOf(goodSink)).total_dead, 0)
    assert.equal((await good.run('verify')).code, 0)
    for (const service of [api, goodSink]) await service.stop(10_000)
  })
}

/** Everything that a role or a database may set, and that changes what SQL means or how values are written. */
const ODD_SETTINGS = {
  standard_conforming_strings: 'off',
  escape_string_warning: 'off',
  backslash_quote: 'off',
  array_nulls: 'off',
  transform_null_equals: 'on',
  quote_all_identifiers: 'on',
  DateStyle: 'German, DMY',
  IntervalStyle: 'sql_standard',
  TimeZone: 'Asia/Kathmandu',
  bytea_output: 'escape',
  extra_float_digits: '0',
  client_encoding: 'LATIN1',
  default_transaction_isolation: 'serializable',
  default_transaction_deferrable: 'on',
  idle_session_timeout: '1500ms',
  idle_in_transaction_session_timeout: '1500ms',
  lock_timeout: '1500ms',
  statement_timeout: '1500ms',
  transaction_timeout: '1500ms',
}

test('odd settings of the database change nothing: stored once, duplicates and conflicts as ever, every command works', async () => {
  const db = await OtherDatabase.create(pipeline, 'odd')
  for (const [name, value] of Object.entries(ODD_SETTINGS))
    await pipeline.query(`ALTER DATABASE odd SET ${name} = ${name === 'DateStyle' ? value : `'${value}'`}`)
  assert.equal((await db.run('migrate', '--sink-role', 'firehose_sink')).code, 0)
  const api = await db.startApi()
  const sink = await db.spawnLeastPrivilegedSink()
  const metadata = { text: `it's a \\ "quoted" €`, number: 0.1 }
  await postEvents(api, range(0, 50), metadata)
  await postEvents(api, range(40, 20), metadata)
  await postEvents(api, [0], { another: true })
  const producer = kafkaClient(pipeline.backend.kafka.bootstrapServers).producer()
  await producer.connect()
  const headers = { name: `'\\x41'`, binary: Buffer.from([0, 255]) }
  // verify must look into this one carefully, because jsonb refuses a field that is ignored.
  const ignored = record(100, { ignored: '\0 \\u0000' })
  await producer.send({ topic: 'odd', messages: [{ value: 'junk \\', headers }, { value: ignored }] })
  await producer.disconnect()
  await db.stored(61)
  const { total_duplicates, total_dead } = await caughtUp(sink)
  assert.deepEqual([total_duplicates, total_dead], [10, 2])
  assert.deepEqual(await db.query('SELECT count(*)::int FROM events WHERE metadata IS NULL'), [{ count: 0 }])

  // The digest of the last record must be read back as it was written.
  await sink.stop(10_000)
  const again = await db.spawnLeastPrivilegedSink()
  await postEvents(api, range(60, 5), metadata)
  await db.stored(66)
  assert.equal((await caughtUp(again)).state, 'running')

  const verified = await db.run('verify')
  assert.equal(verified.code, 0, verified.out + verified.err)
  const listed = await db.run('dlq', 'list', '--json')
  const [letter] = listed.out.split('\n').map((line) => (line === '' ? {} : JSON.parse(line)))
  assert.ok(Math.abs(Date.parse(letter.created_at) - Date.now()) < 600_000, listed.out)
  const replayed = await db.run('dlq', 'replay', '--reason', 'event_id_conflict', '--new-id', '--yes')
  assert.equal(replayed.code, 0, replayed.out + replayed.err)
  await db.stored(67)
  const shown = await db.run('dlq', 'show', `${letter.partition}:${letter.offset}`)
  assert.equal(shown.code, 0, shown.err)
  assert.match(shown.out, new RegExp(String(new Date().getUTCFullYear())))
  const where = await db.run('where', idOf(3))
  assert.deepEqual([where.code, /2026-01-02/.test(where.out)], [0, true], where.out + where.err)
  assert.equal((await db.run('rewind', '--to', '0')).code, 0)
  await caughtUp(again)
  const { findings } = await diagnose(db.env, ['--skip', 'api', '--skip', 'sink', '--skip', 'dead-letters'])
  assert.deepEqual(
    findings.filter(({ level }) => level === 'critical' || level === 'unknown'),
    [],
  )
  for (const service of [api, again]) await service.stop(10_000)
})

const old = oldPostgres()
test('an older PostgreSQL is refused everywhere with one sentence', {
  skip: old === undefined && 'no older PostgreSQL is installed',
}, async (t) => {
  const server = await old!.start()
  t.after(async () => await server.stop())
  const refusal =
    /PostgreSQL 1[0-6]\.\S+.* is too old, because Firehose needs version 17 or later: upgrade it/
  const db = new OtherDatabase(pipeline, 'old', { DATABASE_URL: server.url })
  for (const args of [['migrate'], ['verify'], ['where', idOf(1)], ['dlq', 'list']]) {
    const { code, err } = await db.run(...args)
    assert.ok(code !== 0 && refusal.test(err), `${args.join(' ')}: ${code} ${err}`)
  }
  const api = await db.startApi()
  const sink = await db.spawnSink()
  await postEvents(api, [1])
  assert.equal((await pausedBy(sink, refusal)).needs_person, true)
  const { findings } = await diagnose(db.env, ['--check', 'postgres'])
  assert.deepEqual(
    findings.map(({ level, text }) => [
      level,
      / is too old, because Firehose needs version 17 or later/.test(text),
    ]),
    [['critical', true]],
  )
  for (const service of [api, sink]) await service.stop(10_000)
})

import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { freePorts } from '../../embedded/ports.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { ROOT, runFirehoseIn, runLine } from '../support/run-firehose.ts'
import { copyOfProject } from '../support/project-copy.ts'
import { record, withProducer } from '../support/records.ts'
import { until } from '../support/until.ts'

/* Settings as platforms and people give them: in files, in .env, in part, or wrong; on a real Kafka and PostgreSQL. */

const PASSWORD = 's$cret/ #1'
const dir = mkdtempSync(join(tmpdir(), 'firehose-settings-'))
let pipeline: Pipeline
let copy: string
let kafkaPort: string
let postgresPort: string

before(async () => {
  pipeline = await Pipeline.start({ KAFKA_TOPIC_PARTITIONS: '1' })
  await pipeline.query(`CREATE ROLE other LOGIN SUPERUSER PASSWORD '${PASSWORD}'`)
  kafkaPort = pipeline.backend.kafka.bootstrapServers.split(':')[1] ?? ''
  postgresPort = new URL(pipeline.backend.postgres.url).port
  copy = copyOfProject()
})
after(async () => {
  await pipeline?.close()
  for (const path of [dir, copy]) if (path) rmSync(path, { recursive: true, force: true })
})

/** Runs `firehose ...` with PATH and these variables. */
async function firehose(env: NodeJS.ProcessEnv, args: readonly string[], root = ROOT) {
  return await runFirehoseIn(root, { PATH: process.env.PATH, ...env }, ...args)
}

function fileOf(name: string, content: string): string {
  const path = join(dir, name)
  writeFileSync(path, content, { mode: 0o600 })
  return path
}

test('the sink and commands read secrets from files', async () => {
  const api = await pipeline.startApi()
  const url = fileOf('url', `${pipeline.backend.postgres.url}\n`)
  const sink = await pipeline.startSink({ DATABASE_URL: '', DATABASE_URL_FILE: url })
  await withProducer(pipeline.backend.kafka.bootstrapServers, async (send) => {
    await send([{ value: record(1), partition: 0 }])
  })
  await until('stored', async () => (await pipeline.countEvents()) === 1)
  await Promise.all([sink.stop(10_000), api.stop(10_000)])

  const place = { PGHOST: '127.0.0.1', PGPORT: postgresPort, PGDATABASE: 'firehose', PGUSER: 'other' }
  const asked = await firehose({ ...place, PGPASSWORD_FILE: fileOf('password', `${PASSWORD}\n`) }, [
    'sql',
    'select current_user',
  ])
  assert.deepEqual([asked.code, asked.err], [0, ''])
  assert.match(asked.out, /^ *other$/m)

  const role = fileOf('role', 'of the sink\n')
  const migrated = await firehose({ DATABASE_URL_FILE: url, SINK_DATABASE_PASSWORD_FILE: role }, [
    'migrate',
    '--sink-role',
    'sink_of_file',
  ])
  assert.equal(migrated.code, 0, migrated.err)
  const login = { PG_PORT: postgresPort, PGUSER: 'sink_of_file', PGPASSWORD: 'of the sink' }
  assert.equal((await firehose(login, ['sql', 'select 1'])).code, 0)
})

test('a file that cannot be read is refused before anything starts, by services and commands', async () => {
  for (const command of ['sink', 'migrate', 'where 00000000-0000-7000-8000-000000000001']) {
    const { code, err } = await firehose({ DATABASE_URL_FILE: '/none' }, command.split(' '))
    assert.equal(code, 78)
    assert.equal(
      err,
      'The settings are invalid:\n  DATABASE_URL_FILE cannot be read: /none: no such file or directory\n',
    )
  }
})

test('what Kubernetes sets for a Service is a warning in the log', async () => {
  // Neither can listen there, so both end by themselves.
  const nowhere = 'not.a.name.invalid'
  for (const [name, settings] of [
    ['api', { HOST: nowhere, PUBLISHED_ADDRESS: '127.0.0.1', PORT: 'tcp://10.0.0.9:8000' }],
    ['sink', { SINK_HOST: nowhere, SINK_PORT: 'tcp://10.0.0.9:8001' }],
  ] as const) {
    const env = { KAFKA_BOOTSTRAP_SERVERS: '127.0.0.1:1', ...settings }
    const { code, out } = await firehose(env, [name])
    assert.equal(code, 1)
    const [first = ''] = out.split('\n')
    const { level, msg } = JSON.parse(first) as { level: string; msg: string }
    assert.equal(level, 'warn')
    assert.match(
      msg,
      /^(?:SINK_)?PORT is ignored: "tcp:\/\/10\.0\.0\.9:800\d" is what Kubernetes sets for a Service/,
    )
  }
})

test('each variable of libpq replaces its own part of the database on this machine', async () => {
  const env = { PG_PORT: postgresPort, PGUSER: 'other', PGPASSWORD: PASSWORD }
  const user = await firehose(env, ['sql', 'select current_user, current_database()'])
  assert.match(user.out, /^ *other *\| *firehose$/m)
  const database = await firehose({ PG_PORT: postgresPort, PGDATABASE: 'postgres' }, [
    'sql',
    'select current_database()',
  ])
  assert.match(database.out, /^ *postgres$/m)
})

test('an error names the servers that were asked, and the variables that say so', async () => {
  const [port] = await freePorts(1)
  const env = { PGUSER: 'me', PG_PORT: String(port), KAFKA_PORT: kafkaPort, KAFKA_SESSION_TIMEOUT_MS: '6000' }
  const address = `PostgreSQL at 127.0.0.1:${port}/firehose (PG_PORT, PGUSER)`
  const kafka = `Kafka at 127.0.0.1:${kafkaPort} (KAFKA_BOOTSTRAP_SERVERS)`
  for (const [line, code] of [
    ['sql select', 1],
    ['migrate', 1],
    ['where 00000000-0000-7000-8000-000000000001', 2],
    ['dlq list', 2],
    ['verify', 2],
    ['adopt', 1],
    ['doctor --check postgres', 2],
  ] as const) {
    const said = await firehose(env, line.split(' '))
    assert.equal(said.code, code, line)
    assert.ok(
      (said.out + said.err).replaceAll(/\s+/g, ' ').includes(address),
      `${line}: ${said.out}${said.err}`,
    )
    if (line === 'verify') assert.ok(said.err.includes(`Asked: ${address}, ${kafka}.\n`), said.err)
  }
  for (const line of ['tail', 'adopt']) {
    const { err } = await firehose({ KAFKA_PORT: '1' }, [line])
    assert.match(err, /Kafka at 127\.0\.0\.1:1 \(KAFKA_BOOTSTRAP_SERVERS\) cannot be (?:read|used): /)
  }
})

test('commands on the host read .env as docker compose does, and the environment wins', async () => {
  const env = join(copy, '.env')
  writeFileSync(
    env,
    `POSTGRES_PORT=${postgresPort}\nKAFKA_PORT=${kafkaPort}\nPGUSER=other # not of compose\nPOSTGRES_PASSWORD='${PASSWORD}'\n`,
  )
  const sql = async (more: NodeJS.ProcessEnv = {}) =>
    await firehose(more, ['sql', 'select current_user, current_database()'], copy)
  const mine = await sql()
  assert.deepEqual([mine.code, mine.err], [0, ''])
  assert.match(mine.out, /^ *other *\| *firehose$/m)
  assert.match((await sql({ PGUSER: 'firehose', PGPASSWORD: 'firehose' })).out, /^ *firehose *\| *firehose$/m)
  const verified = await firehose({}, ['verify', '--json'], copy)
  assert.equal(verified.code, 0, verified.err)

  // The database of npm start has its own password.
  mkdirSync(join(copy, '.firehose'))
  const lock = join(copy, '.firehose', 'launcher.pid')
  writeFileSync(lock, `${process.pid}\nnow\n`)
  const start = await sql({ PGUSER: 'firehose' })
  assert.match(start.out, /^ *firehose *\| *firehose$/m, start.err)
  rmSync(lock)

  writeFileSync(
    env,
    `POSTGRES_PORT=${postgresPort}\nPGUSER=other\nPOSTGRES_PASSWORD=${PASSWORD.replace(/ .*/, '')}\n`,
  )
  const ignored = await sql({ PGUSER: 'firehose' })
  assert.match(
    ignored.err,
    /^POSTGRES_PASSWORD in \.env is ignored, [^\n]*put the value in 'single quotes'\.\n$/,
  )
  assert.equal(ignored.code, 0)
  writeFileSync(env, `POSTGRES_PORT=${postgresPort}\nPGUSER=other\nPOSTGRES_PASSWORD='${PASSWORD}'\n`)
  assert.equal((await sql()).code, 0, 'the remedy')
})

test('npm start lists the mistakes of every service before it starts anything', async () => {
  const place = join(dir, 'never')
  const env = { FIREHOSE_DIR: place, LINGER_MS: 'x', PORT: 'abc', FETCH_MIN_BYTES: '0' }
  const { code, out, err } = await runLine('npm start', env)
  assert.equal(code, 78)
  assert.doesNotMatch(out, /data in|Kafka/)
  assert.deepEqual(err.match(/^ {2}[A-Z_]+/gm), ['  PORT', '  LINGER_MS', '  FETCH_MIN_BYTES'])
  assert.equal(existsSync(place), false)
})

test('the rewind that verify proposes asks the same stack', async () => {
  await pipeline.query('DELETE FROM events')
  const env = { PG_PORT: postgresPort, KAFKA_PORT: kafkaPort }
  const missing = await firehose(env, ['verify'])
  assert.equal(missing.code, 1)
  const [, line = ''] = /^ {2}(.*firehose rewind .*)$/m.exec(missing.out) ?? []
  assert.equal(
    line,
    `PG_PORT=${postgresPort} KAFKA_PORT=${kafkaPort} npx firehose rewind --partition 0 --to 0`,
  )
  const rewound = await runLine(line, {})
  assert.match(rewound.out, /^partition 0: from 1, next offset is now 0$/m, rewound.err)
})

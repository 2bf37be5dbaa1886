import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { freePorts, isPortFree } from '../../embedded/ports.ts'
import { load, type LoadResult } from '../../tools/load/load.ts'
import { containerHealth, docker, StackUnderTest } from '../support/compose.ts'
import { scale } from '../support/scale.ts'
import { until } from '../support/until.ts'

/* docker-compose.yml with the built images: what users do, and what may happen. */

const { rate, connections, seconds } = scale
const sinkPassword = "it's %41 \\ $$x"
let under: StackUnderTest
let apiPort: number

before(async () => {
  apiPort = await firstOfTwoFreePorts()
  const passwords = { POSTGRES_PASSWORD: "p$a#s s'w%o&r@d/\\:", SINK_DATABASE_PASSWORD: sinkPassword }
  under = await StackUnderTest.up({ env: { API_PORT: String(apiPort), ...passwords } })
})
after(async () => {
  await under?.close()
})

test("the README's curl is answered 202, and its next command shows the row", async () => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')
  const body =
    /curl -i http:\/\/127\.0\.0\.1:8000\/event[^']*'content-type: application\/json' \\\n\s*-d '([^']*)'/.exec(
      readme,
    )?.[1]
  assert.ok(body !== undefined, 'the curl command is missing in README.md')
  const answer = await postEvent(body)
  assert.equal(answer.status, 202)
  const { event_id } = (await answer.json()) as { event_id: string }

  const command = /docker compose (exec postgres psql .*)/.exec(readme)?.[1]
  assert.ok(command !== undefined, 'the query of the rows is missing in README.md')
  const words = [...command.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '')
  const [exec = '', ...rest] = words
  await until('the row', async () =>
    (await under.stack.compose(exec, '--no-TTY', ...rest)).includes(event_id),
  )
})

test('the sink logs in as a role with only the privileges that it needs', async () => {
  const users = await under.query<{ usename: string }>(
    `SELECT DISTINCT usename FROM pg_stat_activity WHERE application_name = 'firehose-sink'`,
  )
  assert.deepEqual(users, [{ usename: 'firehose_sink' }])
  const url = new URL(under.stack.databaseUrl)
  url.username = 'firehose_sink'
  url.password = encodeURIComponent(sinkPassword)
  const sink = new pg.Client({ connectionString: url.href })
  await sink.connect()
  try {
    for (const sql of [
      'DELETE FROM events',
      'UPDATE events SET user_id = 1',
      'DELETE FROM dead_letters',
      'DROP TABLE events',
    ]) {
      await assert.rejects(sink.query(sql), { code: '42501' }, sql)
    }
  } finally {
    await sink.end()
  }
})

test('maintain is healthy as the owner of the tables, has nothing left to do, and nothing waits for it', async () => {
  const [maintain = ''] = await under.stack.containers('maintain')
  await until('it is healthy', async () => (await containerHealth(maintain)) === 'healthy')
  const [url = ''] = await under.stack.maintainUrls()
  const health = (await (await fetch(`${url}/health`)).json()) as {
    state: string
    layout: string
    partitions_ahead: number
    last_run: { outcome: string; problems: string[] }
  }
  const { state, layout, partitions_ahead, last_run } = health
  assert.deepEqual([state, layout, partitions_ahead], ['waiting', 'tree', 14])
  assert.deepEqual([last_run.outcome, last_run.problems], ['done', []])
  const command = async (...args: string[]): Promise<string> =>
    await under.stack.compose('run', '--rm', '--no-TTY', 'cli', 'maintain', ...args)
  await command()
  assert.equal(await command('--dry-run'), 'Nothing to do.')

  await under.stack.stop('maintain')
  assert.equal(await docker('inspect', '--format', '{{.State.ExitCode}}', maintain), '0')
  assert.equal((await postEvent()).status, 202)
  await under.stack.start('maintain')
})

test('docker compose stop postgres: 202s continue; start: every event is stored once', async (t) => {
  const ackedFile = under.path('acked-stop.tsv')
  const running = load({ url: under.stack.apiUrl, rate, connections, seconds, ackedFile })
  await until('the sink stores', async () => (await under.storedBySinks()) > rate)
  await under.stack.stop('postgres')
  await until('the sink pauses', async () => (await under.sinkHealth())[0]?.state === 'paused')
  const result = await running // the rest is answered while PostgreSQL is down
  const [sink = ''] = await under.stack.containers('sink-worker')
  await until('docker compose ps shows it', async () => (await containerHealth(sink)) === 'unhealthy')
  await under.stack.start('postgres')
  await allStoredOnce(result, ackedFile, t)
})

test('LOCK TABLE events for 5 s: 202s continue, every event is stored once', async (t) => {
  const ackedFile = under.path('acked-lock.tsv')
  const running = load({ url: under.stack.apiUrl, rate, connections, seconds, ackedFile })
  const stored = await under.storedBySinks()
  await until('the sink stores', async () => (await under.storedBySinks()) > stored + rate)
  const locker = new pg.Client({ connectionString: under.stack.databaseUrl })
  await locker.connect()
  await locker.query('BEGIN; LOCK TABLE events')
  await locker.query('SELECT pg_sleep(5)')
  await locker.end()
  await allStoredOnce(await running, ackedFile, t)
})

test('--scale sink-worker=4, --scale producer-api=2: they share the work, every event is stored once', async (t) => {
  // As in the README: two APIs need a range of two ports.
  await under.stack.change({ API_PORT: `${apiPort}-${apiPort + 1}` }, { 'sink-worker': 4, 'producer-api': 2 })
  const urls = await under.stack.apiUrls()
  assert.equal(new Set(urls).size, 2)
  await until('all four have partitions', async () => {
    const shares = (await under.sinkHealth()).map(({ partitions }) => partitions.length)
    return shares.length === 4 && shares.every((share) => share === 3)
  })
  const files = urls.map((_, i) => under.path(`acked-scale-${i}.tsv`))
  const running = urls.map(
    async (url, i) => await load({ url, rate, connections, seconds: 5, ackedFile: files[i] ?? '' }),
  )
  const stored = await under.storedBySinks()
  await until('they store', async () => (await under.storedBySinks()) > stored + rate)
  await under.stack.change({}, { 'sink-worker': 1, 'producer-api': 2 }) // three workers are removed under load
  for (const [i, one] of running.entries()) await allStoredOnce(await one, files[i] ?? '', t)
  await under.stack.change({ API_PORT: String(apiPort) }, { 'sink-worker': 1, 'producer-api': 1 })
})

test('SIGTERM under load: both services exit with 0 within seconds, and nothing is lost', async (t) => {
  const ackedFile = under.path('acked-sigterm.tsv')
  const options = { url: under.stack.apiUrl, rate, connections, seconds, ackedFile, retry: true }
  const running = load(options)
  const stored = await under.storedBySinks()
  await until('the sink stores', async () => (await under.storedBySinks()) > stored + rate)
  for (const service of ['sink-worker', 'producer-api']) {
    const [id = ''] = await under.stack.containers(service)
    const begun = performance.now()
    await under.stack.stop(service)
    t.diagnostic(`${service} ended in ${((performance.now() - begun) / 1_000).toFixed(1)} s`)
    assert.equal(await docker('inspect', '--format', '{{.State.ExitCode}}', id), '0')
    await under.stack.start(service)
  }
  const result = await running
  t.diagnostic(`sent again: ${JSON.stringify(result.retries)}`)
  await allStoredOnce(result, ackedFile, t)
})

test('published on all addresses, the stack needs a key: the README tells how to make one, and each change counts', async (t) => {
  await under.stack.change({ API_ADDRESS: '0.0.0.0' }, {}, false)
  const [api = ''] = await under.stack.containers('producer-api')
  await until('the API has refused to start', async () => {
    return (await docker('inspect', '--format', '{{.State.ExitCode}}', api)) === '78'
  })
  const log = await under.stack.compose('logs', '--no-color', 'producer-api')
  for (const remedy of [/API_KEYS_FILE/, /ALLOW_ANONYMOUS=true/]) assert.match(log, remedy)

  const keys = async (...args: string[]): Promise<string> =>
    await under.stack.compose('run', '--rm', '--no-TTY', 'cli', 'keys', ...args)
  const first = await keys('create', 'backend', '--kind', 'server')
  await under.stack.change({ API_KEYS_FILE: '/keys/keys.json' }, {})
  assert.equal((await postEvent()).status, 401)
  const ackedFile = under.path('acked-keys.tsv')
  const options = { url: under.stack.apiUrl, key: { text: first }, rate, connections, seconds: 3, ackedFile }
  await allStoredOnce(await load(options), ackedFile, t)

  const second = await keys('rotate', 'backend', '--overlap', '0s')
  await until('the first secret is refused', async () => (await statusWith(first)) === 401, 5_000)
  assert.equal(await statusWith(second), 202)
  await keys('revoke', 'backend')
  await until('the second one is refused', async () => (await statusWith(second)) === 401, 5_000)
  await under.stack.change({ API_ADDRESS: undefined, API_KEYS_FILE: undefined }, {})
})

test('docker compose down keeps the rows and the offsets, down -v removes everything', async () => {
  const count = async () => (await under.query<{ count: string }>('SELECT count(*) FROM events'))[0]?.count
  const rows = await count()
  await under.stack.compose('down')
  await under.stack.change({}, {})
  const { status } = await postEvent()
  assert.equal(status, 202)
  await until('one more row', async () => Number(await count()) === Number(rows) + 1)
  assert.equal((await under.storedBySinks()) < 2, true, 'the sink reads nothing again')

  await under.stack.down()
  const label = `label=com.docker.compose.project=${under.stack.project}`
  assert.equal(await docker('ps', '--all', '--quiet', '--filter', label), '')
  assert.equal(await docker('volume', 'ls', '--quiet', '--filter', label), '')
  assert.equal(await docker('network', 'ls', '--quiet', '--filter', label), '')
})

const EVENT = '{"user_id":1,"timestamp":"2026-01-02T03:04:05Z","metadata":{}}'

async function postEvent(body = EVENT, key?: string): Promise<Response> {
  const headers = {
    'content-type': 'application/json',
    ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
  }
  return await fetch(`${under.stack.apiUrl}/event`, { method: 'POST', headers, body })
}

async function statusWith(key: string): Promise<number> {
  return (await postEvent(EVENT, key)).status
}

async function allStoredOnce(
  result: LoadResult,
  ackedFile: string,
  t: { diagnostic: (text: string) => void },
): Promise<void> {
  t.diagnostic(`acknowledged ${result.acked} of ${result.sent}, p99 ${result.p99_ms.toFixed(0)} ms`)
  assert.deepEqual(result.errors, {})
  assert.equal(result.acked, result.sent)
  const verdict = await under.verdict(ackedFile)
  assert.equal(verdict.ok, true, JSON.stringify(verdict))
  assert.equal(verdict.acked_stored, result.acked)
}

async function firstOfTwoFreePorts(): Promise<number> {
  for (;;) {
    const [port = 0] = await freePorts(1)
    if (await isPortFree(port + 1)) return port
  }
}

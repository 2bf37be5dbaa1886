import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { freePorts } from '../../embedded/ports.ts'
import { type Backend, startPostgres } from '../../tools/stack/backends.ts'
import { ask } from '../../tools/stack/ask.ts'
import { takeTurn } from '../../maintenance/turn.ts'
import { metricOf } from '../support/metrics.ts'
import { copyOfProject } from '../support/project-copy.ts'
import { ended, type Ended, ROOT, runFirehose, runFirehoseIn } from '../support/run-firehose.ts'
import { until } from '../support/until.ts'

/* `firehose maintain` as people, cron and supervisors run it, on a real PostgreSQL. What the steps do is tested elsewhere. */

const DAY_MS = 86_400_000
let server: Omit<Backend, 'kafka'>

before(async () => {
  server = await startPostgres()
})
after(async () => {
  await server?.close()
})

/** A database of its own, and what is asked of it. */
class Place {
  readonly url: string
  readonly env: NodeJS.ProcessEnv

  constructor(name: string) {
    const url = new URL(server.postgres.url)
    url.pathname = `/${name}`
    this.url = url.href
    this.env = { PATH: process.env.PATH, DATABASE_URL: this.url }
  }

  static async create(name: string): Promise<Place> {
    await ask(server.postgres.url, `CREATE DATABASE ${name}`)
    return new Place(name)
  }

  static async migrated(name: string): Promise<Place> {
    const place = await Place.create(name)
    assert.equal((await place.run('migrate')).code, 0)
    return place
  }

  async run(...args: string[]): Promise<Ended> {
    return await runFirehose(this.env, ...args)
  }

  async maintain(env: NodeJS.ProcessEnv = {}, ...args: string[]): Promise<Ended> {
    return await runFirehose({ ...this.env, ...env }, 'maintain', ...args)
  }

  async leaves(): Promise<number> {
    const sql = `SELECT FROM pg_inherits WHERE inhparent = 'events_era'::regclass AND inhrelid <> 'events_stray'::regclass`
    return (await ask(this.url, sql)).length
  }
}

/** `firehose maintain --every 1s` in its own process. */
class Service {
  readonly url: string
  readonly #child: ChildProcess
  readonly #ended: Promise<Ended>

  private constructor(child: ChildProcess, port: number) {
    this.url = `http://127.0.0.1:${port}`
    this.#child = child
    this.#ended = ended(child)
  }

  static async start(place: Place): Promise<Service> {
    const [port = 0] = await freePorts(1)
    return new Service(spawnMaintain({ ...place.env, MAINTAIN_PORT: String(port) }, '--every', '1s'), port)
  }

  /** Waits for an answer of this status that matches. */
  async says(path: string, status: number, pattern: RegExp): Promise<void> {
    let last = ''
    try {
      await until(`${path} says ${pattern}`, async () => {
        const answer = await fetch(this.url + path).catch(() => undefined)
        last = `${answer?.status} ${(await answer?.text()) ?? ''}`
        return last.startsWith(`${status} `) && pattern.test(last)
      })
    } catch (error) {
      throw new Error(`last answer: ${last}`, { cause: error })
    }
  }

  /** @returns its exit code after SIGTERM */
  async end(): Promise<number | null> {
    this.#child.kill('SIGTERM')
    return (await this.#ended).code
  }
}

function spawnMaintain(env: NodeJS.ProcessEnv, ...args: string[]): ChildProcess {
  const argv = ['--disable-warning=TimeoutNegativeWarning', 'cli/firehose.ts', 'maintain', ...args]
  return spawn(process.execPath, argv, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] })
}

/** A time of --now. */
function inDays(days: number): string {
  return new Date(Date.now() + days * DAY_MS).toISOString()
}

test('not migrated: maintain names the command, which helps', async () => {
  const place = await Place.create('not_migrated')
  const { code, out, err } = await place.maintain()
  assert.deepEqual([code, out], [1, ''])
  const [, remedy = ''] =
    /^Maintenance of PostgreSQL at .*\/not_migrated \(DATABASE_URL\) failed: .*: run "npx firehose (.*)"\.\n$/.exec(
      err,
    ) ?? []
  assert.equal((await place.run(...remedy.split(' '))).code, 0, err)
  const first = await place.maintain()
  assert.deepEqual([first.code, first.err], [0, ''])
  assert.match(first.out, /^events_\d{8} was closed: 0 rows, [^\n]*\n$/)
  assert.deepEqual(await place.maintain(), { code: 0, out: 'Nothing to do.\n', err: '' })
})

test('--dry-run says what --now would do and changes nothing; then it is done, a sentence each', async () => {
  const place = await Place.migrated('rehearsal')
  const atFirst = await place.leaves()
  const now = inDays(3)
  const dry = await place.maintain({}, '--dry-run', '--now', now)
  assert.deepEqual([dry.code, dry.err], [0, ''])
  assert.equal(dry.out.match(/^\S*events_\d{8} would be made\.$/gm)?.length, 3, dry.out)
  assert.match(dry.out, /\nNothing was changed \(--dry-run\)\.\n$/)
  assert.equal(await place.leaves(), atFirst)

  const real = await place.maintain({}, '--once', '--now', now)
  assert.equal(real.code, 0, real.err)
  assert.equal(real.out.match(/^\S*events_\d{8} was made\.$/gm)?.length, 3, real.out)
  assert.match(
    real.err,
    /^--now is .* later than PostgreSQL's time: partitions are made .* as if it were then\.\n$/,
  )
  assert.equal(await place.leaves(), atFirst + 3)
  assert.match((await place.maintain({}, '--now', inDays(-1))).out, /^Nothing to do\.$/m)
})

test('with retention, a --now of the future is refused, unless --dry-run or --yes says that it is meant', async () => {
  const place = await Place.migrated('future')
  for (const name of ['EVENTS_RETENTION_DAYS', 'DEAD_LETTERS_RETENTION_DAYS']) {
    const refused = await place.maintain({ [name]: '30' }, '--now', inDays(40))
    assert.deepEqual([refused.code, refused.out], [64, ''])
    assert.match(
      refused.err,
      /^Nothing was done: --now is .* later .*Use --dry-run, or --yes to delete it\. Try --help\.\n$/,
    )
  }
  const letters = { DEAD_LETTERS_RETENTION_DAYS: '30' }
  assert.equal((await place.maintain(letters, '--now', inDays(40), '--dry-run')).code, 0)
  const meant = await place.maintain(letters, '--now', inDays(1), '--yes')
  assert.equal(meant.code, 0, meant.err)
  assert.match(meant.err, /and rows deleted, as if it were then/)
})

test('one table: there are no partitions, and maintain says so', async () => {
  const place = await Place.create('one_table')
  assert.equal((await runFirehose({ ...place.env, EVENTS_PARTITION: 'none' }, 'migrate')).code, 0)
  const { code, out } = await place.maintain()
  assert.deepEqual([code, out.split('\n').at(-2)], [0, '"events" has no partitions, so none were made.'])
})

test('another process is at it: exit code 1; to end its session, as the runbook says, helps', async () => {
  const place = await Place.migrated('busy')
  const turn = await takeTurn(place.url)
  const { code, out } = await place.maintain()
  assert.equal(code, 1)
  assert.match(
    out,
    /^Nothing was done: another process maintains this database \(its session is firehose-maintain-turn/,
  )
  const runbook = readFileSync(join(ROOT, 'docs/RUNBOOK.md'), 'utf8')
  const remedy = /^SELECT pg_terminate_backend.*'firehose-maintain-turn';$/m.exec(runbook)?.[0] ?? ''
  assert.equal((await ask(place.url, remedy)).length, 1)
  await until('it works', async () => (await place.maintain()).code === 0)
  await turn?.release()
})

test('Ctrl-C ends a run within a second, even while it waits for a lock; the next run goes on', async () => {
  const place = await Place.migrated('interrupted')
  const atFirst = await place.leaves()
  const locker = new pg.Client({ connectionString: place.url })
  await locker.connect()
  await locker.query('BEGIN; LOCK TABLE events_stray')
  const child = spawnMaintain(place.env, '--now', inDays(2))
  const end = ended(child)
  await until('it waits for the lock', async () => {
    const sql = `SELECT FROM pg_stat_activity WHERE application_name = 'firehose-maintain' AND wait_event_type = 'Lock'`
    return (await ask(place.url, sql)).length > 0
  })
  const beganMs = performance.now()
  child.kill('SIGINT')
  const { code, err } = await end
  assert.equal(code, 130, err)
  assert.ok(performance.now() - beganMs < 1_000)
  assert.match(err, /Stopping[^\n]*\nInterrupted; the next run goes on from here\.\n$/)
  await locker.end()
  const next = await until('the turn is free', async () => {
    const again = await place.maintain({}, '--now', inDays(2))
    return again.code === 0 ? again : undefined
  })
  assert.equal(next.out.match(/was made\.$/gm)?.length, 2, next.out)
  assert.equal(await place.leaves(), atFirst + 2)
})

test('the service waits for PostgreSQL and its tables, works, and ends with 0', async () => {
  const place = await Place.create('service')
  await server.postgres.stop()
  const down = await place.maintain()
  assert.equal(down.code, 1)
  assert.match(
    down.err,
    /^Maintenance of PostgreSQL at 127\.0\.0\.1:\d+\/service \(DATABASE_URL\) failed: .*ECONNREFUSED.*\.\n$/,
  )

  const service = await Service.start(place)
  try {
    await service.says('/readyz', 503, /ECONNREFUSED/)
    await server.postgres.start()
    await service.says('/readyz', 503, /events.* does not exist: run .*npx firehose migrate/)
    assert.equal((await place.run('migrate')).code, 0)
    await service.says('/readyz', 200, /ok/)
    await service.says(
      '/health',
      200,
      /"state":"waiting","reason":null,.*"outcome":"done","actions":\[\],"problems":\[\]/,
    )
    assert.equal(await metricOf(service, 'firehose_maintain_leaves_ahead'), 14)
    assert.equal(await metricOf(service, 'firehose_maintain_problems'), 0)
    assert.ok((await metricOf(service, 'firehose_maintain_runs_total{outcome="failed"}')) > 1)
    const successS = await metricOf(service, 'firehose_maintain_last_success_timestamp_seconds')
    assert.ok(Math.abs(successS - Date.now() / 1_000) < 60)

    await ask(place.url, 'DROP TABLE events_stray')
    await service.says('/health', 200, /"state":"failing","reason":".*partitioned, but not by Firehose/)
  } finally {
    await server.postgres.start().catch(() => {})
    assert.equal(await service.end(), 0)
  }
})

test('the service says that another process is at it, and goes on when that has ended', async () => {
  const place = await Place.migrated('service_busy')
  const turn = await takeTurn(place.url)
  const service = await Service.start(place)
  await service.says('/health', 200, /"outcome":"busy"/)
  await service.says('/readyz', 200, /ok/)
  await turn?.release()
  await service.says('/health', 200, /"outcome":"done"/)
  assert.equal(await service.end(), 0)
})

test('SIGTERM ends the service with 0 within seconds, even if PostgreSQL is frozen', async () => {
  const place = await Place.migrated('service_frozen')
  const service = await Service.start(place)
  await service.says('/readyz', 200, /ok/)
  await server.postgres.freeze()
  try {
    await service.says('/health', 200, /"state":"(?:running|failing)"/)
    const beganMs = performance.now()
    assert.equal(await service.end(), 0)
    assert.ok(performance.now() - beganMs < 5_000)
  } finally {
    await server.postgres.thaw()
  }
})

test('a mistake in Firehose ends the service with 70, and a run with its stack, instead of looking like an outage', async () => {
  const place = await Place.migrated('mistake')
  const copy = copyOfProject()
  try {
    const file = join(copy, 'maintenance/run.ts')
    const text = readFileSync(file, 'utf8')
    const from = 'const layout = await readLayout(db)'
    assert.ok(text.includes(from))
    writeFileSync(file, text.replace(from, `${from}\n          layout.kind.broken.on.purpose()`))
    const service = await runFirehoseIn(copy, { ...place.env, MAINTAIN_PORT: '0' }, 'maintain', '--every')
    assert.equal(service.code, 70, service.out + service.err)
    assert.match(service.out, /"level":"fatal".*TypeError.*a mistake in Firehose/)
    const once = await runFirehoseIn(copy, place.env, 'maintain')
    assert.equal(once.code, 1)
    assert.match(once.err, /TypeError: [^]*maintenance\/run\.ts/)
  } finally {
    rmSync(copy, { recursive: true, force: true })
  }
})

test('a role that does not own the tables is told who must run it, and that works', async () => {
  const place = await Place.create('owner')
  const sink = { ...place.env, SINK_DATABASE_PASSWORD: 'secret' }
  assert.equal((await runFirehose(sink, 'migrate', '--sink-role', 'firehose_sink')).code, 0)
  const url = new URL(place.url)
  url.username = 'firehose_sink'
  url.password = 'secret'
  const refused = await place.maintain({ DATABASE_URL: url.href }, '--now', inDays(1))
  assert.equal(refused.code, 1)
  assert.match(refused.err, /run "npx firehose maintain" as the owner of "events"/)
  assert.equal((await place.maintain({}, '--now', inDays(1))).code, 0)
})

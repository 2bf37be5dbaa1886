import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test, type TestContext } from 'node:test'
import { readPidFile } from '../../embedded/child.ts'
import { freePorts } from '../../embedded/ports.ts'
import { commandOf, isAlive, type ProcessId, signal } from '../../embedded/process-info.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { familyOf, type NpmRun, serviceOf, untilGone, type Way, WAYS } from '../support/npm-run.ts'
import { until } from '../support/until.ts'

/*
 * One stop request, however it is sent, ends everything that a command has started: Kafka, PostgreSQL and the services
 * for `npm start`, and whatever other commands run on. For single services: test/faults/service-signals.test.ts.
 */

let pipeline: Pipeline

before(async () => {
  pipeline = await Pipeline.start()
})
after(async () => {
  await pipeline?.close()
})

for (const [name, way] of Object.entries(WAYS)) {
  test(`npm start, stopped by ${name}: all services shut down cleanly, and none is left`, {
    skip: way.needs ?? false,
  }, async (t) => {
    const { run, launcher, dir, all } = await startAll(t, way)
    way.end(run)
    await untilGone(launcher)
    assert.deepEqual(all.filter(isAlive), [])
    assert.deepEqual(pidFilesOf(dir), [])
    assert.match(readFileSync(join(dir, 'logs', 'api.log'), 'utf8'), /"msg":"stopped"/)
    assert.match(readFileSync(join(dir, 'logs', 'postgres.log'), 'utf8'), /database system is shut down/)
    const ended = await run.ended
    if (way.code !== undefined) assert.equal(ended, way.code, run.output())
    if (way.losesOutput) return
    assert.equal(run.output().match(/Stopping/g)?.length, 1, run.output())
    assert.match(run.output(), /Stopped in [\d.]+ s/)
    assert.doesNotMatch(run.output(), /did not stop in time/)
  })
}

const TERMINAL = 'Ctrl-C in a terminal'
const { needs, ...terminal } = WAYS[TERMINAL] as Way

test('npm start: a later second Ctrl-C kills everything at once', {
  skip: needs ?? false,
}, async (t) => {
  const { run, launcher, all } = await startAll(t, terminal)
  const [kafka] = all
  signal(kafka?.pid ?? 0, 'SIGSTOP') // so that the API cannot disconnect from it
  terminal.end(run)
  await until('it stops', () => run.output().includes('Stopping'))
  const keys = setInterval(() => terminal.end(run), 100)
  await untilGone(launcher)
  clearInterval(keys)
  assert.deepEqual(all.filter(isAlive), [])
})

/** How to tell that a command is running: its output, its session in PostgreSQL, or a process that it has started. */
type Sign = { says: RegExp } | { session: string } | { runs: RegExp }

/** Commands that run until they are stopped; `code` is the exit code after Ctrl-C. */
const COMMANDS: { script: string[]; begun: Sign; saysStopping: boolean; code: number }[] = [
  {
    script: ['load', '--', '--seconds=600', '--url=API_URL'],
    begun: { says: /^1 s: /m },
    saysStopping: true,
    code: 0,
  },
  { script: ['demo', '--', '--embedded'], begun: { says: /Ready in/ }, saysStopping: true, code: 130 },
  { script: ['drill', '--', '--faults=100'], begun: { runs: /kafka\.Kafka/ }, saysStopping: true, code: 130 },
  {
    script: ['verify', '--', '--acked=-'],
    begun: { session: 'firehose-verify' },
    saysStopping: true,
    code: 130,
  },
  {
    script: ['sql', '--', 'select pg_sleep(600)'],
    begun: { session: 'firehose-sql' },
    saysStopping: false,
    code: 130,
  },
  {
    script: ['profile', '--', 'api', '--seconds=600'],
    begun: { runs: /bench\/driver/ },
    saysStopping: false,
    code: 130,
  },
]

for (const name of [TERMINAL, 'SIGTERM to npm', 'kill -9 of npm']) {
  const way = WAYS[name] as Way
  for (const { script, begun, saysStopping, code } of COMMANDS) {
    const title = `npm run ${script[0]}, stopped by ${name}: it stops once, and everything it started is gone`
    test(title, { skip: way.needs ?? false }, async (t) => {
      const api = script[0] === 'load' ? await pipeline.startApi() : undefined
      const run = way.start(
        script.map((word) => word.replace('API_URL', api?.url ?? '')),
        pipeline.env,
      )
      t.after(() => endAll(familyOf(run)))
      await until('it has begun', async () => {
        assert.equal(run.top.exitCode, null, run.output())
        return await hasBegun(run, begun)
      })
      const family = familyOf(run)
      way.end(run)
      for (const id of family) await untilGone(id)
      const ended = await run.ended
      if (way.code !== undefined) {
        assert.equal(ended, code, run.output())
        assert.equal(run.output().match(/Stopping/g)?.length ?? 0, saysStopping ? 1 : 0, run.output())
      }
      await api?.stop(10_000)
      // PostgreSQL continues the query of a client that is gone.
      if ('session' in begun) await pipeline.query(END_SESSIONS, [begun.session])
    })
  }
}

const END_SESSIONS = `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = $1`

async function hasBegun(run: NpmRun, sign: Sign): Promise<boolean> {
  if ('says' in sign) return sign.says.test(run.output())
  if ('runs' in sign) return familyOf(run).some(({ pid }) => sign.runs.test(commandOf(pid)))
  const sql = 'SELECT 1 FROM pg_stat_activity WHERE application_name = $1'
  return (await pipeline.query(sql, [sign.session])).length > 0
}

/** Runs `npm start` with a temporary directory and free ports, and waits until all services are ready. */
async function startAll(
  t: TestContext,
  way: Way,
): Promise<{ run: NpmRun; launcher: ProcessId; dir: string; all: ProcessId[] }> {
  const dir = mkdtempSync(join(tmpdir(), 'firehose-start-'))
  chmodSync(dir, 0o711) // under root, PostgreSQL runs as another user
  const [kafka = 0, postgres, api, sink, maintain] = await freePorts(5)
  const env = {
    KAFKA_PORT: kafka,
    PG_PORT: postgres,
    PORT: api,
    SINK_PORT: sink,
    MAINTAIN_PORT: maintain,
    FIREHOSE_DIR: dir,
  }
  const texts = Object.fromEntries(Object.entries(env).map(([name, value]) => [name, String(value)]))
  const run = way.start(['start'], { ...process.env, ...texts })
  let family: ProcessId[] = []
  t.after(() => {
    endAll(family)
    rmSync(dir, { recursive: true, force: true })
  })
  await until('all are ready', () => {
    family = familyOf(run)
    assert.equal(run.top.exitCode, null, run.output())
    return run.output().includes('Ready in')
  })
  const launcher = await serviceOf(run, 'cli/firehose.ts start')
  const all = ['kafka', 'postgres', 'api', 'sink', 'maintain'].map((name) =>
    readPidFile(join(dir, 'run', `${name}.pid`)),
  )
  const running = all.filter((id) => id !== undefined)
  assert.equal(running.length, 5)
  return { run, launcher, dir, all: running }
}

/** The pid files of the launcher and its services. */
function pidFilesOf(dir: string): string[] {
  return [...readdirSync(dir), ...readdirSync(join(dir, 'run'))].filter((name) => name.endsWith('.pid'))
}

function endAll(ids: readonly ProcessId[]): void {
  for (const id of ids) if (isAlive(id)) signal(id.pid, 'SIGKILL')
}

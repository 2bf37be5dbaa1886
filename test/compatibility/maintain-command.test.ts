import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { takeTurn } from '../../maintenance/turn.ts'
import { ask } from '../../tools/stack/ask.ts'
import { type Backend, startPostgres } from '../../tools/stack/backends.ts'
import { lockStrays, Place, spawnMaintain, untilWaiting } from '../support/maintain-process.ts'
import { ended, ROOT, runFirehose } from '../support/run-firehose.ts'
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

/** A time of --now. */
function inDays(days: number): string {
  return new Date(Date.now() + days * DAY_MS).toISOString()
}

test('not migrated: maintain names the command, which helps', async () => {
  const place = await Place.create(server.postgres.url, 'not_migrated')
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
  const place = await Place.migrated(server.postgres.url, 'rehearsal')
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
  const place = await Place.migrated(server.postgres.url, 'future')
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
  const place = await Place.create(server.postgres.url, 'one_table')
  assert.equal((await runFirehose({ ...place.env, EVENTS_PARTITION: 'none' }, 'migrate')).code, 0)
  const { code, out } = await place.maintain()
  assert.deepEqual(
    [code, out.split('\n').at(-2)],
    [
      0,
      '"events" has no partitions, so none were made; "npx firehose maintain --convert" would partition it.',
    ],
  )
})

test('another process is at it: exit code 1; to end its session, as the runbook says, helps', async () => {
  const place = await Place.migrated(server.postgres.url, 'busy')
  const turn = await takeTurn(place.url)
  const { code, out, err } = await place.maintain()
  assert.deepEqual([code, out], [1, ''])
  assert.match(
    err,
    /^Nothing was done: another process maintains this database \(its session is firehose-maintain-turn/,
  )
  const runbook = readFileSync(join(ROOT, 'docs/RUNBOOK.md'), 'utf8')
  const remedy = /^SELECT pg_terminate_backend.*'firehose-maintain-turn';$/m.exec(runbook)?.[0] ?? ''
  assert.equal((await ask(place.url, remedy)).length, 1)
  await until('it works', async () => (await place.maintain()).code === 0)
  await turn?.release()
})

test('Ctrl-C ends a run within a second, even while it waits for a lock; the next run goes on', async () => {
  const place = await Place.migrated(server.postgres.url, 'interrupted')
  const atFirst = await place.leaves()
  const locker = await lockStrays(place)
  const child = spawnMaintain(place.env, ['--now', inDays(2)])
  const end = ended(child)
  await untilWaiting(place)
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

test('a role that does not own the tables is told who must run it, and that works', async () => {
  const place = await Place.create(server.postgres.url, 'owner')
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

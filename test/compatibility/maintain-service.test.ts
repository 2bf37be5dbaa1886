import assert from 'node:assert/strict'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { takeTurn } from '../../maintenance/turn.ts'
import { ask } from '../../tools/stack/ask.ts'
import { type Backend, startPostgres } from '../../tools/stack/backends.ts'
import { lockStrays, Place, Service, spawnMaintain, untilWaiting } from '../support/maintain-process.ts'
import { metricOf } from '../support/metrics.ts'
import { copyOfProject } from '../support/project-copy.ts'
import { ended } from '../support/run-firehose.ts'

/* `firehose maintain --every`, as a supervisor runs it, on a real PostgreSQL that comes and goes. */

let server: Omit<Backend, 'kafka'>

before(async () => {
  server = await startPostgres()
})
after(async () => {
  await server?.close()
})

test('the service waits for PostgreSQL and its tables, works, and ends with 0', async () => {
  const place = await Place.create(server.postgres.url, 'service')
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
    assert.equal(await metricOf(service, 'firehose_maintain_partitions_ahead'), 14)
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
  const place = await Place.migrated(server.postgres.url, 'service_busy')
  const turn = await takeTurn(place.url)
  const service = await Service.start(place)
  await service.says('/health', 200, /"outcome":"busy"/)
  await service.says('/readyz', 200, /ok/)
  await turn?.release()
  await service.says('/health', 200, /"outcome":"done"/)
  assert.equal(await service.end(), 0)
})

test('SIGTERM ends the service with 0 within seconds, even if PostgreSQL is frozen', async () => {
  const place = await Place.migrated(server.postgres.url, 'service_frozen')
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

test('SIGTERM ends the service with 0 within seconds, even while it waits for a lock', async () => {
  const place = await Place.migrated(server.postgres.url, 'service_locked')
  const last = `SELECT max(inhrelid::regclass::text) AS name FROM pg_inherits WHERE inhparent = 'events_era'::regclass AND inhrelid <> 'events_stray'::regclass`
  const [leaf] = await ask<{ name: string }>(place.url, last)
  await ask(place.url, `DROP TABLE ${leaf?.name}`)
  const locker = await lockStrays(place)
  const service = await Service.start(place)
  await untilWaiting(place)
  assert.equal(await service.end(), 0)
  await locker.end()
})

test('a mistake in Firehose ends the service with 70, and a run with its stack, instead of looking like an outage', async () => {
  const place = await Place.migrated(server.postgres.url, 'mistake')
  const copy = copyOfProject()
  try {
    const file = join(copy, 'maintenance/run.ts')
    const text = readFileSync(file, 'utf8')
    const from = 'const layout = await readLayout(db)'
    assert.ok(text.includes(from))
    writeFileSync(file, text.replace(from, `${from}\n          layout.kind.broken.on.purpose()`))
    const service = await ended(spawnMaintain({ ...place.env, MAINTAIN_PORT: '0' }, ['--every'], copy))
    assert.equal(service.code, 70, service.out + service.err)
    assert.match(service.out, /"level":"fatal".*TypeError.*a mistake in Firehose/)
    const once = await ended(spawnMaintain(place.env, [], copy))
    assert.equal(once.code, 1)
    assert.match(once.err, /TypeError: [^]*maintenance\/run\.ts/)
  } finally {
    rmSync(copy, { recursive: true, force: true })
  }
})

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { NodeService } from '../../embedded/node-service.ts'
import type { Leaf } from '../../postgres/partitions/tree.ts'
import { leastPrivilegedUrl } from '../support/sink-faults.ts'
import { pretendRows, TreeBench } from '../support/tree-bench.ts'
import { until } from '../support/until.ts'

/*
 * What the doctor says about the maintenance of partitions is right: each finding is caused, its remedy is taken from its
 * text and applied, and then it is gone. The installation is ten days old, and maintenance has never run.
 */

const DAY_MS = 86_400_000

let bench: TreeBench

before(async () => {
  bench = await TreeBench.open(10)
})
after(async () => {
  await bench?.pipeline.close()
})

async function hasRun(service: NodeService): Promise<boolean> {
  return ((await service.health()) as { last_run?: unknown } | undefined)?.last_run instanceof Object
}

test('maintenance is late: partitions ahead, one that is past retention, one that was not vacuumed', async () => {
  await bench.insert(1_000, `uuidv7(interval '-5 days')`)
  await bench.insert(1_000)
  const retention = { EVENTS_RETENTION_DAYS: '8' }
  const findings = await bench.found({ env: retention })
  assert.deepEqual(
    findings.map(({ check, level }) => `${level} ${check}`),
    ['warning maintenance', 'warning maintenance', 'warning maintenance'],
  )
  assert.match(findings[0]?.text ?? '', /made only 4 days ahead of now, not 14/)
  assert.match(
    findings[1]?.text ?? '',
    /^\d+ partitions? of "events" .* more than EVENTS_RETENTION_DAYS=8 and a day ago/,
  )
  assert.match(findings[2]?.text ?? '', /^1 partition of "events" .* was not vacuumed/)
  await bench.applyCommand(findings[0]!)
  assert.match((await bench.theOnly({ env: retention })).text, /EVENTS_RETENTION_DAYS=8/)
})

test('few partitions ahead, none, and none for now', async () => {
  const drop = async (from: number): Promise<void> => {
    const startMs = Date.now() + from * DAY_MS
    for (const { name, toMs } of (await bench.tree()).leaves)
      if (toMs > startMs) await bench.pipeline.query(`DROP TABLE ${name}`)
  }
  await drop(3)
  const few = await bench.theOnly()
  assert.deepEqual([few.check, few.level], ['partitions', 'warning'])
  assert.match(few.text, /a partition for now, but only 2 after it \(usually 14\)/)
  await drop(1)
  assert.match((await bench.theOnly()).text, /a partition for now, but none after it/)
  await drop(0)
  await bench.insert(10)
  const none = await bench.theOnly({ checks: ['partitions'] })
  assert.equal(none.level, 'critical')
  assert.match(
    none.text,
    /no partition for now, and none after it \(usually 14\): now, rows collect in events_stray/,
  )
  await bench.applyCommand(none)
  assert.deepEqual(await bench.found(), [])
})

test('no partition for now, because too many of its rows are elsewhere: maintenance makes only the others', async () => {
  await bench.pipeline.query(`DROP TABLE ${(await bench.leaf()).name}`)
  await bench.insert(10_001)
  const stays = await bench.theOnly({ checks: ['partitions'] })
  assert.equal(stays.level, 'warning')
  await bench.pipeline.query(
    `DELETE FROM events WHERE tableoid = 'events_stray'::regclass AND ctid >= '(9,0)'`,
  )
  await bench.applyCommand(stays)
  assert.deepEqual(await bench.found(), [])
})

test('ids of no time, and of times without a partition', async () => {
  await bench.insert(400, 'gen_random_uuid()')
  const random = await bench.theOnly()
  assert.deepEqual([random.check, random.level], ['event-ids', 'note'])
  assert.match(random.text, /^\S+ % of the newest [\d,]+ rows are in events_other: their ids \(UUIDv4\)/)
  assert.match(random.mend ?? '', /^Send UUIDv7 as event_id/)
  await bench.insert(10_000, 'gen_random_uuid()')
  assert.equal((await bench.theOnly()).level, 'warning')
  await bench.insert(10_000, `uuidv7(interval '100 days')`)
  const strays = (await bench.found()).filter(({ text }) => text.includes('in events_stray'))
  assert.match(
    strays[0]?.text ?? '',
    /their ids \(UUIDv7( and UUIDv4)?\) begin with a time that has no partition/,
  )
  await bench.insert(20_000) // as the remedy says
  assert.deepEqual(await bench.found(), [])
})

test("a sink's role sees the same, and needs no more privileges", async () => {
  const env = { DATABASE_URL: await leastPrivilegedUrl(bench.pipeline) }
  assert.deepEqual(await bench.found({ env }), [])
  await bench.insert(20_000, 'gen_random_uuid()')
  assert.match((await bench.theOnly({ env })).text, /in events_other/)
  await bench.pipeline.query(`DELETE FROM events WHERE tableoid = 'events_other'::regclass`)
})

test('closed partitions without their index on users, and an open one that is too large without', async () => {
  await bench.insert(1_000, `uuidv7(interval '-5 days')`)
  const [closed, open] = [await bench.leaf(-5), await bench.leaf()]
  const drop = async ({ name }: Leaf): Promise<void> => {
    await bench.pipeline.query(`DROP INDEX ${name}_user_id_timestamp_idx`)
  }
  await drop(closed)
  const lacking = await bench.theOnly()
  assert.deepEqual([lacking.check, lacking.level], ['indexes', 'warning'])
  assert.match(lacking.text, new RegExp(`^1 partition of "events" \\(${closed.name}\\), over for`))
  await bench.applyCommand(lacking, { EVENTS_USER_INDEX: 'deferred' })
  const env = { EVENTS_USER_INDEX: 'deferred' }
  assert.deepEqual(await bench.found({ env }), [])

  await drop(open)
  await pretendRows(bench.pipeline, open.name, 20_000_000)
  const large = await bench.theOnly({ env })
  assert.deepEqual([large.check, large.level], ['user-search', 'warning'])
  assert.match(large.text, /has up to 20,000,000 rows: .* takes about 2\.2 s until/)
  const [name = '', value] = (/EVENTS_USER_INDEX=immediate/.exec(large.mend ?? '')?.[0] ?? '').split('=')
  await bench.applyCommand(large, { [name]: value })
  assert.deepEqual(await bench.found(), [])
})

test('the maintenance service: without the rights, it says what it lacks; with them, it reports no problem', async () => {
  const none = await bench.theOnly({ checks: ['maintain'] })
  assert.deepEqual([none.check, none.level], ['maintain', 'note'])
  const look = (url: string) => ({ checks: ['maintain'] as const, options: ['--maintain', url] })
  await bench.pipeline.query(`DROP TABLE ${(await bench.tree()).leaves.at(-1)?.name}`)
  const poor = await bench.pipeline.startService('maintenance/main.ts', 'MAINTAIN_PORT', {
    DATABASE_URL: await leastPrivilegedUrl(bench.pipeline),
  })
  await until('its first run is over', async () => await hasRun(poor))
  const lacks = await bench.theOnly(look(poor.url))
  assert.equal(lacks.level, 'warning')
  assert.match(lacks.text, /as the owner of/)
  await poor.stop(10_000)
  const owner = await bench.pipeline.startService('maintenance/main.ts', 'MAINTAIN_PORT')
  await until('its first run is over', async () => await hasRun(owner))
  assert.deepEqual(await bench.found(look(owner.url)), [])
  await owner.stop(10_000)
  assert.equal((await bench.theOnly(look(owner.url))).level, 'note', 'nothing is late')
})

test('retention: partitions past it, and one that is shorter than that of the topic', async () => {
  await bench.pipeline.startApi() // it makes the topic, in which maintenance compares the clocks
  const eight = { EVENTS_RETENTION_DAYS: '8' }
  const past = await bench.theOnly({ env: eight })
  assert.match(past.text, /ended more than EVENTS_RETENTION_DAYS=8 and a day ago/)
  await bench.applyCommand(past, eight)
  assert.deepEqual(await bench.found({ env: eight }), [])
  const look = (env: NodeJS.ProcessEnv) => ({ checks: ['event-retention'] as const, env })
  for (const name of ['EVENTS_RETENTION_DAYS', 'DEAD_LETTERS_RETENTION_DAYS']) {
    const short = await bench.theOnly(look({ [name]: '7' }))
    assert.equal(short.level, 'warning')
    assert.match(short.text, new RegExp(`^${name} is 7, but the topic keeps records for 7 days`))
    const [, value] = new RegExp(`Set ${name}=(\\d+) or more`).exec(short.mend ?? '') ?? []
    assert.deepEqual(await bench.found(look({ [name]: value })), [])
  }
})

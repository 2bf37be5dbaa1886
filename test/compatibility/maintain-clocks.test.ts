import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { after, test } from 'node:test'
import type { Action } from '../../maintenance/maintenance.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { record, withProducer } from '../support/records.ts'
import { insertion, TODAY } from '../support/retained.ts'
import { ended, ROOT } from '../support/run-firehose.ts'
import { createTopic, deleteTopic, withAdmin } from '../support/topic.ts'

/* Nothing is deleted while a clock is off. The clock that is set wrong is that of the process that maintains. */

const HOUR_S = 3_600
const pipeline = await Pipeline.start()
const { bootstrapServers } = pipeline.backend.kafka

after(async () => {
  await pipeline.close()
})

/** Runs maintenance in a process of its own. @param aheadS how far its clock is ahead */
async function maintain({
  aheadS = 0,
  change = {},
}: {
  aheadS?: number
  change?: object
} = {}): Promise<string[]> {
  const options = {
    connectionString: pipeline.backend.postgres.url,
    policy: { unit: 'day', userIndex: 'immediate', retentionDays: 1 },
    kafka: { connection: { brokers: [bootstrapServers] }, topic: 'events' },
    dryRun: false,
    ...change,
  }
  const program = `import { runOnce } from './maintenance/run.ts'
    const now = Date.now
    Date.now = () => now() + ${aheadS}e3
    const { actions } = await runOnce({ ...${JSON.stringify(options)}, report() {}, signal: new AbortController().signal })
    console.log(JSON.stringify(actions))`
  const child = spawn(
    process.execPath,
    ['--disable-warning=TimeoutNegativeWarning', '--input-type=module', '-e', program],
    {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  const { out, err } = await ended(child)
  const actions = JSON.parse(out === '' ? assert.fail(err) : out) as Action[]
  return actions.filter(({ step }) => step === 'retain').map(({ text }) => text)
}

async function storeOldRow(): Promise<void> {
  await pipeline.query(insertion({ user: 1, idMs: TODAY - 1_000 * 86_400_000, receivedMs: 0 }))
}
const DELETED = /^\d+ rows? of events_other (was|were) deleted/

/** Kafka appends these records now, but their events were received at another time. */
async function append(...agesS: number[]): Promise<void> {
  await withProducer(bootstrapServers, async (produce) => {
    await produce(
      agesS.map((ageS, n) => ({
        partition: 0,
        value: record(n, { received_at: new Date(Date.now() - ageS * 1_000).toISOString() }),
      })),
    )
  })
}

async function newTopic(type: 'LogAppendTime' | 'CreateTime'): Promise<void> {
  await deleteTopic(bootstrapServers)
  await createTopic(bootstrapServers, 2, [{ name: 'message.timestamp.type', value: type }])
}

test('without a topic, and with an empty one, the clocks of Kafka say nothing, and old rows go', async () => {
  await storeOldRow()
  assert.match((await maintain()).join(), DELETED)
  await newTopic('LogAppendTime')
  await storeOldRow()
  assert.match((await maintain()).join(), DELETED)
})

test("PostgreSQL's clock differs from this machine's by more than an hour: nothing is deleted, unless --now is given", async () => {
  await storeOldRow()
  assert.match(
    (await maintain({ aheadS: 2 * HOUR_S + 60 })).join(),
    /^Nothing was deleted: PostgreSQL's clock is 2 h behind this machine's\./,
  )
  assert.match((await maintain({ aheadS: -HOUR_S - 90 })).join(), /^Nothing was deleted: .* 61 min ahead of/)
  assert.match((await maintain({ aheadS: 9 * HOUR_S, change: { nowMs: Date.now() } })).join(), DELETED)
})

test("PostgreSQL's clock was ahead only when the run began, as when another server takes over: nothing is deleted", async () => {
  await storeOldRow()
  const { url } = pipeline.backend.postgres
  const database = new URL(url).pathname.slice(1)
  await pipeline.query(`
    CREATE SCHEMA early; CREATE SEQUENCE early.asked;
    CREATE FUNCTION early.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $$ SELECT pg_catalog.clock_timestamp()
      + CASE nextval('early.asked') WHEN 1 THEN interval '40 days' ELSE interval '0' END $$;
    ALTER DATABASE ${database} SET search_path = early, pg_catalog, public`)
  try {
    assert.match((await maintain()).join(), /^Nothing was deleted: PostgreSQL's clock is 39 days ahead of/)
    assert.match((await maintain()).join(), DELETED)
  } finally {
    await pipeline.query(`ALTER DATABASE ${database} RESET search_path; DROP SCHEMA early CASCADE`)
  }
})

test("a record's received_at differs from its append time by more than an hour, either way: nothing is deleted", async () => {
  await storeOldRow()
  await newTopic('LogAppendTime')
  await append(0, 8 * 86_400 + 60, 0)
  assert.match(
    (await maintain()).join(),
    /^Nothing was deleted: Kafka appended a record 8 days after its received_at/,
  )
  await newTopic('LogAppendTime')
  await append(-HOUR_S - 60)
  assert.match(
    (await maintain()).join(),
    /^Nothing was deleted: Kafka appended a record \d\d min before its received_at/,
  )
})

test('a hundred good records later, old rows go again; records that are no events do not count', async () => {
  await storeOldRow()
  await newTopic('LogAppendTime')
  await append(8 * 86_400)
  await append(...Array.from({ length: 99 }, () => HOUR_S - 60))
  assert.match((await maintain()).join(), /^Nothing was deleted/)
  await withProducer(bootstrapServers, async (produce) => {
    await produce([{ partition: 0, value: '{"received_at":"2020-01-01T00:00:00Z"}' }])
  })
  assert.match((await maintain()).join(), DELETED)
})

test('on a topic with the times of producers, they say nothing about clocks', async () => {
  await storeOldRow()
  await newTopic('CreateTime')
  await append(8 * 86_400)
  assert.match((await maintain()).join(), DELETED)
})

test('no consumer group is left, and none was there', async () => {
  const { groups } = await withAdmin(bootstrapServers, async (admin) => await admin.listGroups())
  assert.deepEqual(groups, [])
})

test('Kafka is down: nothing is deleted, and that is said, until it is there again', async () => {
  await storeOldRow()
  await pipeline.backend.kafka.kill()
  assert.match(
    (await maintain()).join(),
    /^Nothing was deleted: the clocks of Kafka and of the APIs are compared before anything is deleted, but Kafka cannot be read: /,
  )
  assert.equal(await pipeline.countEvents(), 1)
  await pipeline.backend.kafka.start()
  assert.match((await maintain()).join(), DELETED)
})

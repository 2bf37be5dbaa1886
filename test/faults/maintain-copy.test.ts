import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import { v7 } from 'uuid'
import { attachLeaf, createLeaf, readLeafModel } from '../../postgres/partitions/leaf.ts'
import { partitionName, rangeAt, RANGES_AHEAD, UNIT_MS } from '../../postgres/partitions/ranges.ts'
import { type ProxiedSink, startSink } from '../../tools/drill/embedded-stage.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { metricOf } from '../support/metrics.ts'
import { record, withProducer } from '../support/records.ts'
import { KEEP_ALL } from '../support/maintained.ts'
import { rehearse } from '../support/rehearsal.ts'
import { assertDrained, connectAs } from '../support/sink-faults.ts'
import { until } from '../support/until.ts'

/*
 * I11: rows on their way to events_stray meet the leaf that is made for them. PostgreSQL refuses them with 23514, without
 * the name of a constraint; they are stored at the next attempt, and none becomes a dead letter.
 */

const ROWS = 300
/** So that a COPY has several chunks, and can be stopped after the first. */
const PADDING = 'x'.repeat(1_000)
const startMs = Date.now()

let pipeline: Pipeline
let sink: ProxiedSink
let sent = 0
/** Days after the last that has a leaf; each test takes the next. */
let day = 0

before(async () => {
  pipeline = await Pipeline.start({ KAFKA_TOPIC_PARTITIONS: '1', DATABASE_TIMEOUT_MS: '20000' })
  sink = await startSink(pipeline, 'sink')
})
beforeEach(() => (day += 1))
after(async () => {
  await pipeline?.close()
  await sink?.proxy.close()
})

for (const isFrozen of [false, true]) {
  test(`I11: a leaf is attached during a COPY${isFrozen ? ' of a frozen sink' : ''} that then has rows for it: all are stored`, async () => {
    const refused = refusals()
    const held = sink.proxy.holdAt('within_copy', AbortSignal.timeout(60_000))
    await send(...events(ROWS, startMs), ...events(ROWS, dayMs()))
    const link = await held
    if (isFrozen) await sink.freeze()
    await makeNextLeaf()
    if (isFrozen) await sink.thaw()
    link.release()
    await assertStored()
    assert.equal(refusals(), refused + 1, 'the COPY was refused once')
    assert.equal(await countIn(leafName()), ROWS)
    assert.equal(await metricOf(sink.service, 'firehose_sink_pauses_total'), 0)
  })
}

test('I11: a row that is stored alone waits for events_stray while its leaf is attached: it is no dead letter', async () => {
  await pipeline.query(`ALTER TABLE events ADD CONSTRAINT mine CHECK (user_id <> 666)`)
  const refused = refusals()
  const maintainer = await connectAs(pipeline.backend.postgres.url)
  await maintainer.query('BEGIN; LOCK TABLE ONLY events_era IN SHARE UPDATE EXCLUSIVE MODE')
  await maintainer.query('LOCK TABLE ONLY events_stray IN ACCESS EXCLUSIVE MODE')
  // The first is refused by the CHECK, so that each of them is tried alone; the second is for the new leaf.
  const [bad, good] = [eventAt(startMs, 666), eventAt(dayMs())]
  await send(bad, good)
  await until('the sink waits for events_stray', async () => {
    const waits = await pipeline.query(
      `SELECT FROM pg_locks WHERE relation = 'events_stray'::regclass AND NOT granted`,
    )
    return waits.length > 0
  })
  const model = await readLeafModel(maintainer, 'events_stray')
  const range = rangeAt('day', dayMs())
  for (const statement of [...createLeaf(range, model, 'immediate'), attachLeaf(range, model), 'COMMIT'])
    await maintainer.query(statement)
  await maintainer.end()
  await until('the sink has caught up', async () => await pipeline.isCaughtUp())
  const dead = await pipeline.query('SELECT event_id, reason, message FROM dead_letters')
  assert.deepEqual(
    dead.map(({ event_id }) => event_id),
    [bad.event_id],
  )
  assert.equal(refusals(), refused + 1, 'the row was refused once')
  assert.equal(await countIn(leafName()), 1)
})

/** A moment of the day that has no leaf yet. */
function dayMs(): number {
  return startMs + (RANGES_AHEAD.day + day) * UNIT_MS.day
}

function leafName(): string {
  return partitionName(rangeAt('day', dayMs()))
}

async function makeNextLeaf(): Promise<void> {
  const { actions } = await rehearse({
    connectionString: pipeline.backend.postgres.url,
    policy: KEEP_ALL,
    nowMs: startMs + day * UNIT_MS.day,
  })
  assert.deepEqual(
    actions.filter(({ step }) => step === 'ahead').map(({ kind }) => kind),
    ['made'],
  )
}

interface TestEvent {
  event_id: string
  user_id: number
}

function eventAt(msecs: number, userId = 1): TestEvent {
  return { event_id: v7({ msecs }), user_id: userId }
}

function events(count: number, msecs: number): TestEvent[] {
  return Array.from({ length: count }, () => eventAt(msecs))
}

/** In one batch of Kafka, in this order. */
async function send(...wanted: TestEvent[]): Promise<void> {
  sent += wanted.length
  await withProducer(pipeline.backend.kafka.bootstrapServers, async (produce) => {
    const metadata = { padding: PADDING }
    await produce(wanted.map((event) => ({ value: record(0, { ...event, metadata }), partition: 0 })))
  })
}

async function assertStored(): Promise<void> {
  await assertDrained(pipeline, sink.service)
  assert.equal(await pipeline.countEvents(), sent)
  assert.deepEqual(await pipeline.query('SELECT FROM dead_letters'), [])
}

/** How often PostgreSQL has refused a row in events_stray, by its log. */
function refusals(): number {
  const log = readFileSync(join(pipeline.backend.dir!, 'postgres', 'postgres.log'), 'utf8')
  return log.split('new row for relation "events_stray" violates partition constraint').length - 1
}

async function countIn(table: string): Promise<number> {
  const [row] = await pipeline.query<{ count: number }>(`SELECT count(*)::int AS count FROM ${table}`)
  return row?.count ?? 0
}

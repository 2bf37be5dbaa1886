import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { NodeService } from '../../embedded/node-service.ts'
import { UNIT_MS } from '../../postgres/partitions/ranges.ts'
import { readLayout } from '../../postgres/partitions/tree.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { idsOfEveryVersion } from '../support/ids.ts'
import { record, withProducer } from '../support/records.ts'
import { KEEP_ALL } from '../support/maintained.ts'
import { killAtEveryStatement, pointsOf } from '../support/rehearsal.ts'
import { quickTimeouts, scale } from '../support/scale.ts'
import { until } from '../support/until.ts'

/*
 * I11: retention in days of maintenance in which it is killed at every statement, and sinks are killed: what is younger is
 * there once, to the row, wherever its id has put it; what is older is gone, unless the range of its leaf is not over.
 */

const DAYS = 10
const RETENTION_DAYS = 3
const IDS = scale.full ? 1_000_000 : 10_000
const BATCH = 1_000
const startMs = Date.now()

let pipeline: Pipeline
let sinks: NodeService[]

before(async () => {
  pipeline = await Pipeline.start(quickTimeouts)
  sinks = [await pipeline.startSink(), await pipeline.startSink()]
  await until('the topic exists', async () => (await pipeline.ends().catch(() => [])).length > 0)
})
after(async () => {
  await pipeline?.close()
})

test(`I11: of ${IDS.toLocaleString('en')} events in ${DAYS} days, those of the last ${RETENTION_DAYS} are stored once`, async (t) => {
  const ids = idsOfEveryVersion(IDS, startMs, DAYS, 12)
  const policy = { ...KEEP_ALL, retentionDays: RETENTION_DAYS }
  let kills = 0
  for (let day = 0; day < DAYS; day++) {
    // In the middle of the times at which the events of a day are received.
    const nowMs = startMs + (day + 0.5) * UNIT_MS.day
    const cutoffMs = nowMs - RETENTION_DAYS * UNIT_MS.day
    const connectionString = pipeline.backend.postgres.url
    const [, { kills: more, last }] = await Promise.all([
      sendDay(ids, day),
      killAtEveryStatement({ connectionString, policy, nowMs }, pointsOf(day)),
    ])
    kills += more
    assert.deepEqual(
      last.actions.filter(({ kind }) => kind === 'problem'),
      [],
    )
    await assertOldIsGone(cutoffMs)
    await until('the sinks have caught up', async () => await pipeline.isCaughtUp(), 60_000)
    await assertYoungIsThere(ids, day, cutoffMs)
  }
  t.diagnostic(`${kills} kills of maintenance, ${DAYS} of sinks`)
  assert.deepEqual(await pipeline.query('SELECT FROM dead_letters'), [])
})

/** Event n is sent on day n % DAYS, three times; they are received over the day. */
function receivedMs(n: number): number {
  return startMs + (n % DAYS) * UNIT_MS.day + (Math.floor(n / DAYS) % 1_000) * (UNIT_MS.day / 1_000)
}

/** Sends the events of a day, and kills a sink in the middle. */
async function sendDay(ids: readonly string[], day: number): Promise<void> {
  const numbers = [...ids.keys()].filter((n) => n % DAYS === day)
  const sink = sinks[day % sinks.length]!
  await withProducer(pipeline.backend.kafka.bootstrapServers, async (produce) => {
    for (const time of [0, 1, 2]) {
      for (let from = 0; from < numbers.length; from += BATCH) {
        const events = numbers
          .slice(from, from + BATCH)
          .map((n) => ({ value: eventOf(ids[n]!, n), partition: n % 4 }))
        await produce(events)
      }
      if (time !== 1) continue
      await sink.kill()
      await sink.start()
    }
  })
}

/** What it says follows from its id, so that the database itself can compare them. */
function eventOf(id: string, n: number): string {
  const metadata = { of: id }
  return record(n, { event_id: id, received_at: new Date(receivedMs(n)).toISOString(), metadata })
}

/** Counts without the code of the sink and of verify. */
async function assertYoungIsThere(ids: readonly string[], day: number, cutoffMs: number): Promise<void> {
  const young = [...ids.keys()].filter((n) => n % DAYS <= day && receivedMs(n) >= cutoffMs)
  const sum = young.reduce((total, n) => total + n, 0)
  const [row] = await pipeline.query(
    `SELECT count(*)::int AS rows, count(DISTINCT event_id)::int AS ids, sum(user_id)::float8 AS sum,
      count(*) FILTER (WHERE metadata = jsonb_build_object('of', event_id))::int AS right
     FROM events WHERE received_at >= $1`,
    [new Date(cutoffMs)],
  )
  const count = young.length
  assert.deepEqual(row, { rows: count, ids: count, sum, right: count })
}

async function assertOldIsGone(cutoffMs: number): Promise<void> {
  const client = await pipeline.db.connect()
  try {
    const layout = await readLayout(client)
    assert.ok(layout.kind === 'tree')
    assert.ok(layout.leaves.every(({ toMs }) => toMs > cutoffMs))
    for (const { name } of [layout.stray, layout.other]) {
      const { rows } = await client.query(`SELECT FROM ${name} WHERE received_at < $1 LIMIT 1`, [
        new Date(cutoffMs),
      ])
      assert.deepEqual(rows, [], name)
    }
  } finally {
    client.release()
  }
}

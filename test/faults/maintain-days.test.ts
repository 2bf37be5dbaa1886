import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { NodeService } from '../../embedded/node-service.ts'
import { partitionName, RANGES_AHEAD, rangesAhead, UNIT_MS } from '../../postgres/partitions/ranges.ts'
import { readLayout } from '../../postgres/partitions/tree.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { idsOfEveryVersion } from '../support/ids.ts'
import { KEEP_ALL } from '../support/maintained.ts'
import { killAtEveryStatement, pointsOf } from '../support/rehearsal.ts'
import { quickTimeouts, scale } from '../support/scale.ts'
import { assertDrained, postBatch } from '../support/sink-faults.ts'

/* I11: days of maintenance in which it is killed at every statement, and sinks are killed, lose and duplicate nothing. */

const DAYS = 10
const IDS = scale.full ? 1_000_000 : 20_000
const BATCH = 1_000
const startMs = Date.now()

let pipeline: Pipeline
let api: NodeService
let sinks: NodeService[]

before(async () => {
  pipeline = await Pipeline.start(quickTimeouts)
  api = await pipeline.startApi()
  sinks = [await pipeline.startSink(), await pipeline.startSink()]
})
after(async () => {
  await pipeline?.close()
})

test(`I11: ${IDS.toLocaleString('en')} ids of every version, each sent three times in ${DAYS} days, are stored once`, async (t) => {
  const ids = idsOfEveryVersion(IDS, startMs, DAYS + RANGES_AHEAD.day, 11)
  let kills = 0
  for (let day = 0; day < DAYS; day++) {
    const nowMs = startMs + day * UNIT_MS.day
    const [, runs] = await Promise.all([
      sendDay(ids, day),
      killAtEveryStatement(
        { connectionString: pipeline.backend.postgres.url, policy: KEEP_ALL, nowMs },
        pointsOf(day),
      ),
    ])
    kills += runs.kills
    assert.deepEqual(
      runs.last.actions.filter(({ kind }) => kind === 'problem'),
      [],
    )
    assert.deepEqual(await leafNames(), expectedLeaves(nowMs))
  }
  assert.ok(kills >= DAYS * 8, `${kills} kills`)
  await assertDrained(pipeline, ...sinks)
  await assertEachStoredOnce(ids.length)
  t.diagnostic(
    `${kills} kills of maintenance, ${DAYS} of sinks; ${await countIn('events_stray')} strays, ${await countIn('events_other')} in events_other`,
  )
})

/** Sends the events of a day, and kills a sink in the middle. Each event is sent on three days, or twice on the same. */
async function sendDay(ids: readonly string[], day: number): Promise<void> {
  const numbers = [0, 1, 2].flatMap((time) => [...ids.keys()].filter((n) => dayOf(n, time) === day))
  const sink = sinks[day % sinks.length]!
  for (let from = 0; from < numbers.length; from += BATCH) {
    const events = numbers.slice(from, from + BATCH).map((n) => eventOf(ids[n]!, n))
    await postBatch(api, events)
    if (from <= numbers.length / 2 && from + BATCH > numbers.length / 2) {
      await sink.kill()
      await sink.start()
    }
  }
}

function dayOf(n: number, time: number): number {
  return Math.floor(n / DAYS ** time) % DAYS
}

/** What it says follows from its id, so that the database itself can compare them. */
function eventOf(id: string, n: number): object {
  return { event_id: id, user_id: n, timestamp: '2026-01-02T03:04:05Z', metadata: { of: id } }
}

/** Counts without the code of the sink and of verify. */
async function assertEachStoredOnce(count: number): Promise<void> {
  const [row] = await pipeline.query(`
    SELECT count(*)::int AS rows, count(DISTINCT event_id)::int AS ids, sum(user_id)::float8 AS sum,
      count(*) FILTER (WHERE metadata = jsonb_build_object('of', event_id))::int AS right FROM events`)
  assert.deepEqual(row, { rows: count, ids: count, sum: (count * (count - 1)) / 2, right: count })
  assert.deepEqual(await pipeline.query('SELECT FROM dead_letters'), [])
}

/** From the day before installation to those ahead. */
function expectedLeaves(nowMs: number): string[] {
  const ahead = rangesAhead('day', nowMs)
  const first = rangesAhead('day', startMs - UNIT_MS.day)[0]!
  const days = (ahead.at(-1)!.toMs - first.fromMs) / UNIT_MS.day
  return Array.from({ length: days }, (_, n) =>
    partitionName({ fromMs: first.fromMs + n * UNIT_MS.day, toMs: first.fromMs + (n + 1) * UNIT_MS.day }),
  )
}

async function leafNames(): Promise<string[]> {
  const client = await pipeline.db.connect()
  try {
    const layout = await readLayout(client)
    assert.ok(layout.kind === 'tree')
    return layout.leaves.map(({ name }) => name)
  } finally {
    client.release()
  }
}

async function countIn(table: string): Promise<number> {
  const [row] = await pipeline.query<{ count: number }>(`SELECT count(*)::int AS count FROM ${table}`)
  return row?.count ?? 0
}

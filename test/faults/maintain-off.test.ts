import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { v7 } from 'uuid'
import type { NodeService } from '../../embedded/node-service.ts'
import { partitionName, rangeAt, RANGES_AHEAD, UNIT_MS } from '../../postgres/partitions/ranges.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { KEEP_ALL } from '../support/maintained.ts'
import { rehearse } from '../support/rehearsal.ts'
import { quickTimeouts } from '../support/scale.ts'
import { assertDrained, postBatch } from '../support/sink-faults.ts'

/* I11: maintenance was off for 20 days, in which events came for days without a leaf. */

const startMs = Date.now()
const DAYS_OFF = 20
/** Rows of each day after the last that has a leaf; with more than 10,000 a day gets no leaf. */
const ROWS = Array.from({ length: DAYS_OFF }, (_, day) => ({ 3: 10_000, 7: 10_001, 12: 12_000 })[day] ?? 200)
const BATCH = 1_000

let pipeline: Pipeline
let api: NodeService
let sink: NodeService
let sent = 0

before(async () => {
  pipeline = await Pipeline.start({ ...quickTimeouts, KAFKA_TOPIC_PARTITIONS: '2' })
  api = await pipeline.startApi()
  sink = await pipeline.startSink()
})
after(async () => {
  await pipeline?.close()
})

test('I11: after 20 days without maintenance, leaves ahead exist again, and no event is lost or stored twice', async (t) => {
  for (const [day, rows] of ROWS.entries()) await send(dayMs(day), rows)
  await assertDrained(pipeline, sink)
  assert.equal(await countIn('events_stray'), sent)

  const nowMs = dayMs(DAYS_OFF)
  const rehearsal = { connectionString: pipeline.backend.postgres.url, policy: KEEP_ALL, nowMs }
  const [run] = await Promise.all([rehearse(rehearsal), sendMeanwhile(nowMs)])
  assert.deepEqual(
    run.actions.filter(({ kind }) => kind === 'problem'),
    [],
  )
  assert.equal(run.ahead, RANGES_AHEAD.day)
  assert.deepEqual(await withoutLeaf(), [7, 12])
  assert.deepEqual((await rehearse(rehearsal)).actions, [], 'nothing is left to do')

  await assertDrained(pipeline, sink)
  assert.equal(await countIn('events_stray'), 10_001 + 12_000)
  assert.equal(await countIn(partitionName(rangeAt('day', dayMs(3)))), 10_000)
  const [row] = await pipeline.query(`
    SELECT count(*)::int AS rows, count(DISTINCT event_id)::int AS ids,
      count(*) FILTER (WHERE metadata = jsonb_build_object('of', event_id))::int AS right FROM events`)
  assert.deepEqual(row, { rows: sent, ids: sent, right: sent })
  assert.deepEqual(await pipeline.query('SELECT FROM dead_letters'), [])
  t.diagnostic(`${run.actions.length} actions, ${run.leaves} leaves`)
})

/** The days off that have no leaf. */
async function withoutLeaf(): Promise<number[]> {
  const leaves = await pipeline.query<{ name: string }>(
    "SELECT relid::regclass::text AS name FROM pg_partition_tree('events_era')",
  )
  const names = new Set(leaves.map(({ name }) => name))
  return [...ROWS.keys()].filter((day) => !names.has(partitionName(rangeAt('day', dayMs(day)))))
}

/** A moment of the n-th day after the last that has a leaf. */
function dayMs(n: number): number {
  return startMs + (RANGES_AHEAD.day + 1 + n) * UNIT_MS.day
}

/** Events of now, and late ones of the three days before, while their leaves are made. */
async function sendMeanwhile(nowMs: number): Promise<void> {
  for (let n = 0; n < 40; n++) await send(nowMs - (n % 4) * UNIT_MS.day, 50)
}

async function send(ms: number, count: number): Promise<void> {
  sent += count
  for (let left = count; left > 0; left -= BATCH) {
    const events = Array.from({ length: Math.min(left, BATCH) }, () => {
      const id = v7({ msecs: Math.floor(ms) })
      return { event_id: id, user_id: 1, timestamp: '2026-01-02T03:04:05Z', metadata: { of: id } }
    })
    await postBatch(api, events)
  }
}

async function countIn(table: string): Promise<number> {
  const [row] = await pipeline.query<{ count: number }>(`SELECT count(*)::int AS count FROM ${table}`)
  return row?.count ?? 0
}

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { after, before, test, type TestContext } from 'node:test'
import type { NodeService } from '../../embedded/node-service.ts'
import type { Action } from '../../maintenance/maintenance.ts'
import { partitionNewTable } from '../../postgres/partitions/create-tree.ts'
import { RANGES_AHEAD, UNIT_MS } from '../../postgres/partitions/ranges.ts'
import { load, type LoadResult } from '../../tools/load/load.ts'
import { LoadThread } from '../../tools/load/load-thread.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { CommitGaps } from '../support/commit-gaps.ts'
import { KEEP_ALL } from '../support/maintained.ts'
import { holdAt, type Rehearsal, rehearse } from '../support/rehearsal.ts'
import { ROOT } from '../support/run-firehose.ts'
import { scale } from '../support/scale.ts'
import { assertDrained, connectAs } from '../support/sink-faults.ts'
import { until } from '../support/until.ts'

/* I11: maintenance under a constant load: every answer is 202, and the sink never pauses for more than a second. */

const { rate, connections } = scale
/** So many of them have no leaf yet, so that the sink and maintenance want the same locks. */
const STRAY_SHARE = 0.1
const SELECT_MS = scale.full ? 60_000 : 12_000
const SECONDS = scale.full ? 100 : 25
const FROZEN_SECONDS = scale.full ? 60 : 10
const startMs = Date.now()

let pipeline: Pipeline
let api: NodeService
let sink: NodeService
/** As if it had been installed then, so that there are old leaves to drop. */
const installedMs = startMs - 20 * UNIT_MS.day
/** Days after the installation, as maintenance sees them. */
let day = 7
/** The longest time between two commits without maintenance. */
let calmGapMs = 0

before(async () => {
  pipeline = await Pipeline.start({}, { kafkaCompilesAll: scale.full })
  await installAgain()
  await rehearse(nextDay()) // today has a leaf
  api = await pipeline.startApi()
  sink = await pipeline.startSink()
})
after(async () => {
  await pipeline?.close()
})

async function installAgain(): Promise<void> {
  const client = await connectAs(pipeline.backend.postgres.url)
  await client.query(`BEGIN; CREATE TABLE plain (LIKE events INCLUDING ALL EXCLUDING INDEXES);
    DROP TABLE events; ALTER TABLE plain RENAME TO events`)
  await partitionNewTable(client, 'day', 'immediate', installedMs)
  await client.query('COMMIT')
  await client.end()
}

interface Measured {
  p99Ms: number
  gapMs: number
}

/** Sends for some seconds while something is done; the strays are of the day that gets the next leaf. */
async function underLoad(
  work: (isOver: () => boolean) => Promise<void>,
  seconds = SECONDS,
): Promise<Measured> {
  const gaps = await CommitGaps.start(pipeline.backend.postgres.url)
  const thread = new LoadThread({ url: api.url, rate, connections, seconds }, () => {})
  const strays = load({
    url: api.url,
    rate: rate * STRAY_SHARE,
    connections: 5,
    seconds,
    startedAtMs: installedMs + (RANGES_AHEAD.day + day + 1) * UNIT_MS.day,
  })
  let isOver = false
  const both = Promise.all([thread.result, strays]).finally(() => (isOver = true))
  let gapMs = 0
  try {
    await work(() => isOver)
  } finally {
    await both
    gapMs = await gaps.stop()
  }
  const results: LoadResult[] = await both
  assert.deepEqual(
    results.map(({ errors }) => errors),
    [{}, {}],
    'every answer is 202',
  )
  await assertDrained(pipeline, sink)
  assert.deepEqual(await pipeline.query('SELECT FROM dead_letters'), [])
  return { p99Ms: results[0]!.p99_ms, gapMs }
}

/** A day on which a leaf is made. @param retentionDays if old ones are dropped */
function nextDay(retentionDays?: number): Rehearsal & { nowMs: number } {
  day += 1
  return {
    connectionString: pipeline.backend.postgres.url,
    policy: { ...KEEP_ALL, retentionDays },
    nowMs: installedMs + day * UNIT_MS.day,
  }
}

/** Other work of the machine delays commits, too. */
function assertBrief({ gapMs }: Measured): void {
  assert.ok(
    gapMs < 1_000 + calmGapMs,
    `no commit for ${gapMs} ms, ${calmGapMs} ms of them without maintenance`,
  )
}

function countsOf(actions: readonly Action[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { kind } of actions) counts[kind] = (counts[kind] ?? 0) + 1
  return counts
}

test(`I11: leaves are made, closed and dropped while a SELECT on events is open, at ${rate} events/s`, async (t) => {
  const calm = await underLoad(async () => {})
  calmGapMs = calm.gapMs
  report(t, 'without maintenance', calm)
  const actions: Action[] = []
  const busy = await underLoad(async (isOver) => {
    const reader = await connectAs(pipeline.backend.postgres.url)
    await reader.query('BEGIN; DECLARE reading CURSOR FOR SELECT * FROM events; FETCH 1 FROM reading')
    const reading = setTimeout(() => void reader.query('COMMIT').catch(() => {}), SELECT_MS)
    try {
      // Later, it would delete what is received today.
      while (!isOver() && day < 20) actions.push(...(await rehearse(nextDay(2))).actions)
    } finally {
      clearTimeout(reading)
      await reader.end()
    }
  })
  const { made = 0, closed = 0, dropped = 0 } = countsOf(actions)
  assert.ok(made > 0 && closed > 0 && dropped > 0, JSON.stringify(actions))
  report(t, `${made} leaves made, ${closed} closed, ${dropped} dropped`, busy)
  assertBrief(busy)
})

for (const [what, at, statement] of [
  ['while it waits for its locks', 'sent', /^LOCK TABLE /],
  ['with its locks', 'done', /^LOCK TABLE /],
  ['before COMMIT', 'before', /^COMMIT$/],
] as const) {
  test(`I11: a maintainer is frozen ${what}`, async (t) => {
    const busy = await underLoad(async (isOver) => {
      while (!isOver()) {
        const rehearsal = nextDay()
        let locks = false
        const isWanted = (point: string, sql: string): boolean => {
          locks ||= sql.startsWith('LOCK TABLE ')
          return locks && point === at && statement.test(sql)
        }
        await freezeAt(rehearsal, isWanted, at !== 'before')
        const { made = 0 } = countsOf((await rehearse(rehearsal)).actions)
        assert.ok(made > 0, 'another makes the leaf')
      }
    }, FROZEN_SECONDS)
    report(t, what, busy)
    assertBrief(busy)
  })
}

/** Starts the command, stops it (SIGSTOP) at a statement, and kills it when PostgreSQL has ended its session. */
async function freezeAt(
  { connectionString, nowMs }: Rehearsal & { nowMs: number },
  isWanted: (point: string, statement: string) => boolean,
  isSent: boolean,
): Promise<void> {
  let child: ChildProcess | undefined
  let said = ''
  const held = await holdAt(connectionString, isWanted, async (through) => {
    const args = ['cli/firehose.ts', 'maintain', '--now', new Date(nowMs).toISOString()]
    child = spawn(process.execPath, args, {
      cwd: ROOT,
      env: { ...pipeline.env, DATABASE_URL: through },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk: Buffer) => (said += chunk.toString()))
    await once(child, 'close')
  })
  assert.ok(held, `the command does not reach the statement: ${said}`)
  try {
    child!.kill('SIGSTOP')
    if (isSent) held.link.release() // else the statement would arrive after all
    await until('PostgreSQL has ended its session', async () => {
      const port = held.link.outgoingPort
      return (
        (await pipeline.query('SELECT FROM pg_stat_activity WHERE client_port = $1', [port])).length === 0
      )
    })
  } finally {
    child!.kill('SIGKILL')
    await held.proxy.close()
  }
}

function report(t: TestContext, what: string, { p99Ms, gapMs }: Measured): void {
  t.diagnostic(`${what}: p99 of the 202 ${p99Ms.toFixed(1)} ms, longest time without a commit ${gapMs} ms`)
}

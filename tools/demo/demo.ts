import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Client } from 'pg'
import { DatabaseProbe } from '../../embedded/database-probe.ts'
import { abortable } from '../stack/abortable.ts'
import { spawnGuard } from '../stack/guard.ts'
import type { DemoStack } from './demo-stack.ts'
import { LoadThread } from '../load/load-thread.ts'
import type { LoadResult } from '../load/load.ts'
import { judgeOutage, type OutageVerdict } from './outage-verdict.ts'
import { isCaughtUp, type Point, summarize, type Timeline, type TimelineSummary } from './timeline.ts'
import { clock, count, headerLine, markLine, pointLine } from './timeline-text.ts'
import { verify, type VerifyProgress } from '../verify/verify.ts'
import { StackWatch, type WatchListener } from '../stack/watch-stack.ts'

export interface DemoPlan {
  /** Events per second, one per request. */
  rate: number
  /** Load on processes that have just started; not counted as "before". */
  warmUpS: number
  beforeS: number
  outageS: number
  /** Load after the sinks have caught up. */
  afterS: number
}

/** Output of the demo: permanent lines, and a live line that is replaced. */
export interface DemoOutput {
  say(line: string): void
  live(line: string): void
}

export interface DemoReport {
  timeline: Timeline
  summary: TimelineSummary
  verdict: OutageVerdict
  load: LoadResult
}

const CONNECTIONS = 50
const DATABASE_LIMIT_MS = 120_000
const CATCH_UP_LIMIT_S = 300
const HEADER_EVERY = 20

/**
 * Runs the demo: load, the database stops, the database starts, the sinks catch up, everything is compared.
 *
 * @throws if a step times out or the load fails; the signal's reason
 */
export async function runDemo(
  stack: DemoStack,
  plan: DemoPlan,
  out: DemoOutput,
  signal: AbortSignal,
): Promise<DemoReport> {
  const dir = mkdtempSync(join(tmpdir(), 'firehose-demo-'))
  const guard = spawnGuard(dir)
  try {
    const ackedFile = join(dir, 'acked.tsv')
    const { timeline, load } = await watchOutage(stack, plan, ackedFile, out, signal)
    out.say(`\nComparing the whole topic, and every 202, with the table.`)
    const verdict = await abortable(compare(stack, ackedFile, load.acked, out), signal)
    return { timeline, summary: summarize(timeline, plan.warmUpS), verdict, load }
  } finally {
    guard.stdin?.end() // the guard removes the directory
  }
}

async function watchOutage(
  stack: DemoStack,
  plan: DemoPlan,
  ackedFile: string,
  out: DemoOutput,
  signal: AbortSignal,
): Promise<{ timeline: Timeline; load: LoadResult }> {
  const { rate, warmUpS, beforeS, outageS, afterS } = plan
  const watch = await StackWatch.open(stack, tableOn(out))
  const { timeline } = watch
  const { moments } = timeline
  const mark = (text: string): number => {
    out.say(markLine(watch.nowS, text))
    return watch.nowS
  }
  // We stop the load; this limit is for a stack that does not recover.
  const seconds = warmUpS + beforeS + outageS + afterS + 2 * CATCH_UP_LIMIT_S
  const options = { url: stack.apiUrl, rate, connections: CONNECTIONS, seconds, ackedFile }
  const load = new LoadThread(options, watch.tick)
  const failed = new AbortController()
  load.result.catch((error: unknown) => failed.abort(error))
  const ended = AbortSignal.any([signal, failed.signal])
  const until = async (what: string, condition: () => boolean) =>
    await watch.until(what, condition, CATCH_UP_LIMIT_S, ended)
  const untilTime = async (atS: number) => await until(clock(atS), () => watch.nowS >= atS)
  try {
    await untilTime(warmUpS + beforeS)
    const silent = untilDatabase('silent', stack.databaseUrl, ended)
    const noted = silent.then(() => (moments.stoppedS = mark('PostgreSQL stopped')))
    await Promise.all([stack.stopDatabase(), noted])
    await abortable(delay(outageS * 1000), ended)
    out.say(markLine(watch.nowS, 'starting PostgreSQL'))
    await stack.startDatabase()
    await untilDatabase('answering', stack.databaseUrl, ended)
    moments.startedS = mark('PostgreSQL started')
    await until('the sink has caught up', () => isCaughtUp(timeline, rate))
    // The time of the observation, not the current time.
    moments.caughtUpS = timeline.points.at(-1)?.atS ?? watch.nowS
    out.say(markLine(moments.caughtUpS, 'caught up'))
    await untilTime(moments.caughtUpS + afterS)
    moments.loadEndedS = watch.nowS
    load.stop()
    const result = await load.result
    const settledS = mark(`load ended after ${count(result.sent)} requests`)
    watch.tickAlone()
    const isAllStored = ({ atS, lag }: Point) => atS > settledS && lag === 0
    await until('everything is stored', () => timeline.points.some(isAllStored))
    return { timeline, load: result }
  } finally {
    await load.kill()
    await watch.close().catch(() => {})
  }
}

/** Prints the observations as rows of a table. */
function tableOn(out: DemoOutput): WatchListener {
  let lines = 0
  return {
    onPoint: (point) => {
      if (lines++ % HEADER_EVERY === 0) out.say(headerLine())
      out.say(pointLine(point))
    },
    onState: (atS, state) => out.say(markLine(atS, state)),
  }
}

/** Polls the database until it has reached the state. @throws after two minutes; the signal's reason */
async function untilDatabase(
  state: 'answering' | 'silent',
  databaseUrl: string,
  signal: AbortSignal,
): Promise<void> {
  const probe = new DatabaseProbe(databaseUrl)
  const endMs = performance.now() + DATABASE_LIMIT_MS
  try {
    while ((await probe.answers()) !== (state === 'answering')) {
      if (performance.now() > endMs)
        throw new Error(`PostgreSQL is still not ${state} after ${DATABASE_LIMIT_MS / 1000} s.`)
      await abortable(delay(20), signal)
    }
  } finally {
    probe.close()
  }
}

async function compare(
  stack: DemoStack,
  ackedFile: string,
  acked: number,
  out: DemoOutput,
): Promise<OutageVerdict> {
  const { databaseUrl, kafkaBootstrapServers, topic } = stack
  const onProgress = ({ records, records_total, acked: lookedUp }: VerifyProgress) =>
    out.live(
      `${count(records)} of ${count(records_total)} records, ${count(lookedUp)} of ${count(acked)} 202s`,
    )
  const found = await verify({ databaseUrl, kafkaBootstrapServers, topic, ackedFile, onProgress })
  out.live('')
  return judgeOutage(found, await countRows(databaseUrl), acked)
}

async function countRows(databaseUrl: string): Promise<{ all: number; distinct: number }> {
  const client = new Client({ connectionString: databaseUrl })
  await client.connect()
  try {
    const { rows } = await client.query<{ all: number; distinct: number }>(
      'SELECT count(*)::int AS all, count(DISTINCT event_id)::int AS distinct FROM events',
    )
    return rows[0] ?? { all: 0, distinct: 0 }
  } finally {
    await client.end()
  }
}

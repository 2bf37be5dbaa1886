import { setTimeout as delay } from 'node:timers/promises'
import { load, type LoadResult } from '../load/load.ts'
import type { Pipeline } from '../stack/pipeline.ts'
import type { Bench } from './bench.ts'
import { cpuMs, treeCpuMs } from './machine.ts'
import { startStack, type Stack } from './stack.ts'

const CONNECTIONS = 256
/** Maximum lag when the last event is answered, in seconds of the rate. */
const LAG_LIMIT_S = 2
const ANSWER_LIMIT_MS = 1_000
const LAST_ROWS_LIMIT_MS = 60_000

/** The result at one rate; open loop, everything on this machine. */
export interface Latency {
  rate: number
  seconds: number
  sent: number
  failed: number
  /** Sent per second; less than `rate` if the generator itself could not keep up. */
  sentRate: number
  /** Latency from the intended send time to the 202. */
  answerP50Ms: number
  answerP99Ms: number
  /** Time from `received_at` to the commit of the row. */
  rowP50Ms: number
  rowP99Ms: number
  /** Events acknowledged but not yet stored at the end of the load, in seconds of its rate. */
  lagS: number
  /** CPU cores used. */
  cores: { api: number; sink: number; kafka: number; postgres: number; load: number }
  /** No event failed, all were sent in time, 99% were answered within a second, and the lag was below two seconds. */
  holds: boolean
}

/**
 * Measures latencies at these rates, with the shipped defaults.
 *
 * @throws if a row is missing or duplicated
 */
export async function benchLatency(rates: readonly number[], { seconds, say }: Bench): Promise<Latency[]> {
  const stack = await startStack({}, { isPinned: false })
  const { pipeline } = stack
  try {
    await keepCommitTimes(pipeline)
    const [api, sink] = [await pipeline.startApi(), await pipeline.startSink()]
    const pids = { api: api.pid ?? 0, sink: sink.pid ?? 0 }
    const results: Latency[] = []
    for (const rate of rates) {
      await load({ url: api.url, rate: rate / 2, connections: CONNECTIONS, seconds: 3 }) // warm-up
      await allStored(pipeline)
      const result = await measure(stack, pids, { url: api.url, rate, seconds })
      results.push(result)
      say(describe(result))
    }
    return results
  } finally {
    await pipeline.close()
  }
}

async function measure(
  stack: Stack,
  pids: { api: number; sink: number },
  { url, rate, seconds }: { url: string; rate: number; seconds: number },
): Promise<Latency> {
  const { pipeline } = stack
  await pipeline.query('TRUNCATE events')
  const used = () => ({
    api: cpuMs(pids.api),
    sink: cpuMs(pids.sink),
    kafka: cpuMs(stack.kafkaPid),
    postgres: treeCpuMs(stack.postgresPid),
    load: cpuMs(process.pid),
  })
  const [before, beganMs] = [used(), performance.now()]
  const result = await load({ url, rate, connections: CONNECTIONS, seconds })
  const [after, spanMs] = [used(), performance.now() - beganMs]
  const lag = result.acked - (await pipeline.countEvents())
  await allStored(pipeline)
  const rows = await pipeline.countEvents()
  // An event that was answered 503 "unknown" may be stored.
  if (rows < result.acked || rows > result.sent)
    throw new Error(`${rows} rows for ${result.acked} acknowledged of ${result.sent} events`)
  const [row] = await pipeline.query<{ p50: number; p99: number }>(ROW_DELAYS)
  const failed = result.sent - result.acked
  const lagS = lag / rate
  return {
    rate,
    seconds,
    sent: result.sent,
    failed,
    sentRate: result.sent_rate,
    answerP50Ms: result.p50_ms,
    answerP99Ms: result.p99_ms,
    rowP50Ms: row?.p50 ?? Number.NaN,
    rowP99Ms: row?.p99 ?? Number.NaN,
    lagS,
    cores: {
      api: (after.api - before.api) / spanMs,
      sink: (after.sink - before.sink) / spanMs,
      kafka: (after.kafka - before.kafka) / spanMs,
      postgres: (after.postgres - before.postgres) / spanMs,
      load: (after.load - before.load) / spanMs,
    },
    holds: failed === 0 && isOnPace(result, rate) && lagS < LAG_LIMIT_S,
  }
}

const ROW_DELAYS = `
  SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY delay_ms) AS p50,
         percentile_cont(0.99) WITHIN GROUP (ORDER BY delay_ms) AS p99
  FROM (SELECT extract(epoch FROM pg_xact_commit_timestamp(xmin) - received_at)::float8 * 1000 AS delay_ms
        FROM events) AS delays`

/** Whether the generator sent in time and the responses kept up. */
function isOnPace({ sent_rate, p99_ms }: LoadResult, rate: number): boolean {
  return sent_rate > rate * 0.99 && p99_ms < ANSWER_LIMIT_MS
}

/** PostgreSQL records commit times only if asked to. */
async function keepCommitTimes({ db, backend }: Pipeline): Promise<void> {
  await db.query('ALTER SYSTEM SET track_commit_timestamp = on')
  await backend.postgres.stop()
  await backend.postgres.start()
}

/** Waits until the sink has reached the end of the topic. @throws after a minute */
export async function allStored(pipeline: Pipeline): Promise<void> {
  const deadline = performance.now() + LAST_ROWS_LIMIT_MS
  while (!(await pipeline.isCaughtUp())) {
    if (performance.now() > deadline)
      throw new Error('the sink did not reach the end of the topic within a minute')
    await delay(100)
  }
}

/** One line of progress. */
function describe(result: Latency): string {
  const { rate, holds, failed, answerP50Ms, answerP99Ms, rowP50Ms, rowP99Ms, lagS, cores } = result
  const used = Object.entries(cores).map(([name, share]) => `${name} ${share.toFixed(2)}`)
  return [
    `${rate.toLocaleString('en')}/s ${holds ? 'holds' : 'does not hold'}: ${failed} failed`,
    `202 p50 ${answerP50Ms.toFixed(1)} ms, p99 ${answerP99Ms.toFixed(1)} ms`,
    `row p50 ${rowP50Ms.toFixed(0)} ms, p99 ${rowP99Ms.toFixed(0)} ms`,
    `lag ${lagS.toFixed(2)} s`,
    `cores: ${used.join(', ')}`,
  ].join('; ')
}

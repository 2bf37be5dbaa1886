import assert from 'node:assert/strict'
import { after, before, test, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { NodeService } from '../../embedded/node-service.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { hammer, httpRequest } from '../support/clients.ts'
import { problemOf } from '../support/http.ts'
import { rssMiB, watchRss } from '../support/processes.ts'
import { until } from '../support/until.ts'

/* I7: the API's memory is bounded in bytes under any load, and released afterwards. */

const MIB = 1024 * 1024
const BUFFER_MIB = 32
/**
 * Tolerated growth of the process: the buffer, the same amount for bodies being read, and garbage not yet collected or
 * pages not yet returned by malloc and V8, which collects external memory only after about 64 MiB.
 */
const BOUND_MIB = 2 * BUFFER_MIB + 160
/** Tolerated growth after the second round. */
const NOISE_MIB = 24
const ROUNDS = 5
const PUSH_MS = 2_000

let pipeline: Pipeline
let api: NodeService

before(async () => {
  pipeline = await Pipeline.start()
  const bufferBytes = String(BUFFER_MIB * MIB)
  api = await pipeline.startApi({
    BUFFER_MAX_BYTES: bufferBytes,
    DELIVERY_TIMEOUT_MS: '2000',
    LOG_LEVEL: 'warn',
  })
  await hammer(api.url, 50, [small], (sent) => sent < 2_000) // warm up
})
after(async () => {
  await pipeline?.close()
})

const event = (padBytes: number): string =>
  JSON.stringify({ user_id: 1, timestamp: '2025-01-31T12:00:00Z', metadata: { pad: 'x'.repeat(padBytes) } })
const small = httpRequest('/event', event(100))
const large = httpRequest('/event', event(60_000))
const batch = httpRequest('/events', `[${Array(100).fill(event(8_800)).join(',')}]`)
const rss = () => rssMiB(api.pid ?? 0)
const ready = () => until('readiness', async () => (await fetch(`${api.url}/readyz`)).status === 200)
const emptied = () => until('an empty buffer', async () => (await api.health())?.queue_bytes === 0)

interface Counts {
  total_received: number
  total_accepted: number
  total_rejected: Record<string, number>
  in_flight: number
}

/** Checks that received = accepted + rejected + in flight. */
async function assertCountsAgree(): Promise<void> {
  const health = (await api.health()) as Counts | undefined
  if (health === undefined) return // too busy to respond within a second
  const rejected = Object.values(health.total_rejected).reduce((sum, count) => sum + count, 0)
  assert.equal(
    health.total_received,
    health.total_accepted + rejected + health.in_flight,
    JSON.stringify(health),
  )
}

test(`I7: Kafka frozen while 1,000 clients send large bodies: 503, bounded memory, recovery; no growth over ${ROUNDS} rounds; the totals always agree`, async (t) => {
  const restMiB = rss()
  const peaks: number[] = []
  const rests: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    await pipeline.backend.kafka.freeze()
    const end = performance.now() + PUSH_MS
    const pushed = hammer(api.url, 1_000, [large, small, batch], () => performance.now() < end)
    const watch = watchRss(api.pid ?? 0)
    while (performance.now() < end) {
      await assertCountsAgree()
      await sleep(100)
    }
    await pipeline.backend.kafka.thaw()
    const answers = await pushed
    peaks.push(watch.stop())
    assert.ok((answers['503'] ?? 0) > 100, JSON.stringify(answers))
    assert.deepEqual(
      Object.keys(answers).filter((key) => key !== '202' && key !== '503'),
      [],
    )
    await emptied()
    await ready()
    await assertCountsAgree()
    rests.push(rss())
  }
  report(t, restMiB, peaks, rests)
  assert.ok(Math.max(...peaks) < restMiB + BOUND_MIB, `${Math.max(...peaks)} MiB`)
  assertNoGrowth(rests)
  const { in_flight } = (await api.health()) as unknown as Counts
  assert.equal(in_flight, 0)
})

test('I7: while the buffer is full, requests get 503 with Retry-After at once', async (t) => {
  const patient = await pipeline.startApi({
    BUFFER_MAX_BYTES: String(4 * MIB),
    DELIVERY_TIMEOUT_MS: '19000',
    LOG_LEVEL: 'warn',
  })
  const post = () =>
    fetch(`${patient.url}/event`, {
      method: 'POST',
      body: event(100),
      headers: { 'Content-Type': 'application/json' },
    })
  const timed = async (status: number): Promise<number[]> => {
    const latencies: number[] = []
    for (let n = 0; n < 200; n++) {
      const start = performance.now()
      const answer = await post()
      latencies.push(performance.now() - start)
      assert.equal(answer.status, status)
      if (status === 503) {
        assert.match(answer.headers.get('retry-after') ?? '', /^[1-9]\d*$/)
        assert.match((await problemOf(answer, 503, 'not-accepted')).detail, /The buffer is full/)
      } else await answer.text()
    }
    return latencies.toSorted((a, b) => a - b)
  }
  const bare = await timed(202)
  await pipeline.backend.kafka.freeze()
  // About 230 of these fit in 4 MiB, headers included.
  const waiting = Promise.all(Array.from({ length: 260 }, post))
  const isFull = async () => /full/.test(await (await fetch(`${patient.url}/readyz`)).text())
  await until('a full buffer', async () => Number((await patient.health())?.in_flight) > 220)
  await until('a 503', async () => (await isFull()) || (await answerWithin(post(), 1_000)) === 503)
  const full = await timed(503)
  await pipeline.backend.kafka.thaw()
  const statuses = (await waiting).map(({ status }) => status)
  assert.ok(statuses.filter((status) => status === 202).length > 220, 'waiting events were not accepted')
  const p99 = (sorted: number[]): number => sorted[Math.floor(sorted.length * 0.99)] ?? 0
  t.diagnostic(
    `p50 and p99: 202 ${bare[100]?.toFixed(1)}, ${p99(bare).toFixed(1)} ms; 503 ${full[100]?.toFixed(1)}, ${p99(full).toFixed(1)} ms`,
  )
  assert.ok(p99(full) < 1_000, `${p99(full)} ms`)
  await until('a 202', async () => (await post()).status === 202)
  await patient.stop(20_000)
})

test('I7: memory does not grow over many refused requests (400, 404, 413, 415, 422)', async (t) => {
  const short = [
    httpRequest('/event', '{"user_id":'),
    httpRequest('/nowhere', '{}'),
    httpRequest('/event', event(100), { 'Content-Type': 'text/html' }),
    httpRequest('/event', event(100), { 'Content-Encoding': 'compress' }),
    httpRequest('/events', `[${Array(50).fill('{"user_id":1.5}').join(',')}]`),
  ]
  const long = [httpRequest('/event', 'x'.repeat(66_800)), httpRequest('/events', 'x'.repeat(1_100_000))]
  const restMiB = rss()
  const rests: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const answers = {
      // Enough requests that a leak of a few KiB each exceeds the noise.
      ...(await hammer(api.url, 50, short, (sent) => sent < 20_000)),
      ...(await hammer(api.url, 50, long, (sent) => sent < 500)),
    }
    assert.deepEqual(
      Object.keys(answers).filter((key) => !/^4\d\d$/.test(key)),
      [],
      JSON.stringify(answers),
    )
    rests.push(rss())
  }
  report(t, restMiB, [], rests)
  await assertCountsAgree()
  assertNoGrowth(rests)
})

async function answerWithin(answer: Promise<Response>, limitMs: number): Promise<number | undefined> {
  return await Promise.race([answer.then(({ status }) => status), sleep(limitMs, undefined)])
}

function report(t: TestContext, restMiB: number, peaks: number[], rests: number[]): void {
  const list = (values: number[]) => values.map((value) => value.toFixed(0)).join(', ')
  t.diagnostic(
    `RSS in MiB: before ${restMiB.toFixed(0)}, at most ${list(peaks)}, after each round ${list(rests)}`,
  )
}

/** The process reaches its size in the first two rounds. */
function assertNoGrowth(rests: number[]): void {
  const [, second = 0, ...later] = rests
  assert.ok(Math.min(...later) < second + NOISE_MIB, `grows: ${rests.join(', ')} MiB`)
}

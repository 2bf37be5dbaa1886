import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { load } from '../../../tools/load/load.ts'
import { Pipeline } from '../../../tools/stack/pipeline.ts'
import { SAME_REQUEST_MS } from '../../../platform/signals.ts'
import { groupMembers } from '../../support/records.ts'
import { blockWriters, sinkInTransaction } from '../../support/moments.ts'
import { scale } from '../../support/scale.ts'
import { repeatSignals } from '../../support/signals.ts'
import { until } from '../../support/until.ts'

/* I8: on SIGTERM both services exit with 0 within seconds: the API answers accepted requests, the sink leaves the group. */

let pipeline: Pipeline

before(async () => {
  pipeline = await Pipeline.start()
})
after(async () => {
  await pipeline?.close()
})

test('I8: SIGTERM under load: both services exit with 0, and acknowledged events are stored after the next start', async (t) => {
  const api = await pipeline.startApi()
  const sink = await pipeline.startSink()
  const ackedFile = pipeline.path('acked.tsv')
  const stopLoad = new AbortController()
  const { rate, connections } = scale
  const running = load({ url: api.url, rate, connections, seconds: 600, signal: stopLoad.signal, ackedFile })
  await until('the sink stores', async () => Number((await sink.health())?.total_stored) > rate)

  const [apiExit, sinkExit] = [api.exited, sink.exited]
  await Promise.all([api.stop(20_000), sink.stop(20_000)])
  assert.deepEqual(await apiExit, { code: 0, signal: null })
  assert.deepEqual(await sinkExit, { code: 0, signal: null })
  assert.deepEqual(
    await groupMembers(pipeline.backend.kafka.bootstrapServers),
    [],
    'the sink has left the group',
  )
  stopLoad.abort()
  const result = await running
  t.diagnostic(`acknowledged ${result.acked}, errors ${JSON.stringify(result.errors)}`)

  await sink.start()
  await until('the sink has caught up', async () => await pipeline.isCaughtUp())
  const verdict = await pipeline.verify(ackedFile)
  assert.equal(verdict.ok, true, JSON.stringify(verdict))
  assert.equal(verdict.acked, result.acked)
  await sink.stop(10_000)
})

test('I8: the sink exits with 0 while PostgreSQL is frozen, and in a blocked transaction', async () => {
  const api = await pipeline.startApi()
  const post = async (): Promise<Response> =>
    await fetch(`${api.url}/event`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"user_id":1,"timestamp":"2026-01-02T03:04:05Z","metadata":{}}',
    })

  const waiting = await pipeline.startSink()
  const lock = await blockWriters(pipeline)
  assert.equal((await post()).status, 202)
  await sinkInTransaction(pipeline)
  const exit = waiting.exited
  await waiting.stop(20_000)
  assert.deepEqual(await exit, { code: 0, signal: null })
  await lock.release()

  const frozen = await pipeline.startSink()
  await pipeline.backend.postgres.freeze()
  assert.equal((await post()).status, 202)
  const frozenExit = frozen.exited
  await frozen.stop(20_000)
  assert.deepEqual(await frozenExit, { code: 0, signal: null })
  await pipeline.backend.postgres.thaw()

  const last = await pipeline.startSink()
  await until('the sink has caught up', async () => await pipeline.isCaughtUp())
  assert.equal((await pipeline.verify()).ok, true)
  await last.stop(10_000)
})

test('I8: a second signal exits immediately', async () => {
  const api = await pipeline.startApi()
  const sink = await pipeline.startSink()
  await pipeline.backend.kafka.freeze() // so that neither can shut down gracefully
  const pending = fetch(`${api.url}/event`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"user_id":1,"timestamp":"2026-01-02T03:04:05Z","metadata":{}}',
  }).catch(() => undefined)
  await until('the API has it', async () => Number((await api.health())?.queue_size) > 0)
  for (const service of [api, sink]) {
    const { name, pid = 0 } = service
    const exit = service.exited
    const since = performance.now()
    const stopSignals = repeatSignals(pid, ['SIGTERM', 'SIGINT'])
    assert.deepEqual({ name, ...(await exit) }, { name, code: 1, signal: null })
    stopSignals()
    assert.ok(performance.now() - since >= SAME_REQUEST_MS, 'signals right after the first are copies of it')
    assert.deepEqual(
      service
        .lastLines()
        .flatMap((line) => /"msg":"(shutting down|another signal received)/.exec(line)?.[1] ?? []),
      ['shutting down', 'another signal received'],
    )
  }
  await pending
  await pipeline.backend.kafka.thaw()
})

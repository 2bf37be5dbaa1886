import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { after, before, test } from 'node:test'
import { load } from '../../../tools/load/load.ts'
import { Pipeline } from '../../../tools/stack/pipeline.ts'
import { cpuMs } from '../../../tools/bench/machine.ts'
import type { NodeService } from '../../../embedded/node-service.ts'
import { blockWriters } from '../../support/moments.ts'
import { quickTimeouts, scale } from '../../support/scale.ts'
import { groupMembers } from '../../support/records.ts'
import { until } from '../../support/until.ts'

/*
 * I5: during a PostgreSQL outage, the API works as before and the sink stays in its group, without crashing or spinning;
 * afterwards it drains by itself.
 */

let pipeline: Pipeline
let api: NodeService
let sink: NodeService

before(async () => {
  pipeline = await Pipeline.start()
  api = await pipeline.startApi()
  sink = await pipeline.startSink(quickTimeouts)
})
after(async () => {
  await pipeline?.close()
})

/** The outages. `begin` starts one and returns the function that ends it. `lastsMs` is part of the fault, not a wait. */
const outages: [name: string, lastsMs: number, begin: () => Promise<() => Promise<void>>][] = [
  [
    'frozen',
    scale.outageMs,
    async () => {
      await pipeline.backend.postgres.freeze()
      return async () => await pipeline.backend.postgres.thaw()
    },
  ],
  [
    'killed',
    scale.outageMs,
    async () => {
      await pipeline.backend.postgres.kill()
      return async () => await pipeline.backend.postgres.start()
    },
  ],
  [
    'locked',
    scale.lockMs,
    async () => {
      const lock = await blockWriters(pipeline)
      return async () => await lock.release()
    },
  ],
]

for (const [name, lastsMs, begin] of outages) {
  test(`I5: PostgreSQL ${name} under load: every answer is 202, no rebalance, all is stored once afterwards`, async (t) => {
    const members = await groupMembers(pipeline.backend.kafka.bootstrapServers)
    const assignments = countAssignments()
    const ackedFile = pipeline.path(`acked-${name}.tsv`)
    const running = load({ ...loadOptions(), ackedFile })

    await until('the sink stores', async () => (await sink.health())?.state === 'running')
    await sleep(2_000) // load before the outage
    const end = await begin()
    await until('the sink pauses', async () => (await sink.health())?.state === 'paused')
    const [cpuAtPause, pausedAt] = [cpuMs(sink.pid ?? 0), performance.now()]
    await sleep(Math.max(500, lastsMs - 2_000))
    const cpuShare = (cpuMs(sink.pid ?? 0) - cpuAtPause) / (performance.now() - pausedAt)
    await end()

    const result = await running
    t.diagnostic(`acknowledged ${result.acked}, p50 ${result.p50_ms} ms, p99 ${result.p99_ms} ms`)
    t.diagnostic(`sink CPU while paused: ${(cpuShare * 100).toFixed(1)} %`)
    assert.deepEqual(result.errors, {})
    assert.equal(result.acked, result.sent)
    await until('the sink has caught up', async () => await pipeline.isCaughtUp(), 60_000)
    const verdict = await pipeline.verify(ackedFile)
    assert.equal(verdict.ok, true, JSON.stringify(verdict))
    assert.equal(verdict.acked, result.acked)
    assert.deepEqual(await groupMembers(pipeline.backend.kafka.bootstrapServers), members)
    assert.equal(countAssignments(), assignments, 'the group was not joined again')
  })
}

test('I5: an outage and its end are detected without any traffic', async () => {
  await until('the sink has nothing to do', async () => (await sink.health())?.state === 'running')
  await pipeline.backend.postgres.stop()
  await until('the sink is paused', async () => (await sink.health())?.state === 'paused')
  await pipeline.backend.postgres.start()
  await until('the sink runs', async () => (await sink.health())?.state === 'running')
})

function loadOptions() {
  const { rate, connections, seconds } = scale
  return { url: api.url, rate, connections, seconds: scale.full ? seconds : Math.max(seconds, 8) }
}

/** The sink logs each join, and so each generation of the group. */
function countAssignments(): number {
  return readFileSync(pipeline.path(`${sink.name}.log`), 'utf8').split('"partitions assigned"').length
}

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { NodeService } from '../../../embedded/node-service.ts'
import { load } from '../../../tools/load/load.ts'
import { Pipeline } from '../../../tools/stack/pipeline.ts'
import { blockWriters, sinkInTransaction } from '../../support/moments.ts'
import { quickTimeouts, scale } from '../../support/scale.ts'
import { until } from '../../support/until.ts'

/* I2: whatever is killed, no acknowledged event is lost and none is stored twice. */

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

test(`I2: the sink is killed ${scale.sinkKills} times under load, every other time in a transaction`, async (t) => {
  const ackedFile = pipeline.path('acked-sink.tsv')
  const stopLoad = new AbortController()
  const { rate, connections } = scale
  const running = load({ url: api.url, rate, connections, seconds: 600, signal: stopLoad.signal, ackedFile })
  let within = 0
  for (let kill = 0; kill < scale.sinkKills; kill++) {
    const stored = await storedBySink()
    await until('the sink stores', async () => (await storedBySink()) > stored, 60_000)
    if (kill % 2 === 0) {
      const lock = await blockWriters(pipeline)
      await sinkInTransaction(pipeline)
      await sink.kill()
      within += 1
      await lock.release()
    } else {
      await sink.kill()
    }
    await sink.start()
  }
  stopLoad.abort()
  const result = await running
  t.diagnostic(
    `${scale.sinkKills} kills, ${within} of them within an open transaction; acknowledged ${result.acked}`,
  )
  assert.deepEqual(
    Object.keys(result.errors).filter((kind) => kind !== 'aborted'),
    [],
  )
  await assertAllStored(ackedFile, result.acked)
})

test(`I2: the API is killed ${scale.apiKills} times under load, clients retry with the same ids`, async (t) => {
  const ackedFile = pipeline.path('acked-api.tsv')
  const { rate, connections, seconds } = scale
  const running = load({ url: api.url, rate, connections, seconds, retry: true, ackedFile })
  for (let kill = 0; kill < scale.apiKills; kill++) {
    await sleep(1_000) // load between the kills
    await api.kill()
    await api.start()
  }
  const result = await running
  t.diagnostic(`acknowledged ${result.acked}, retried ${JSON.stringify(result.retries)}`)
  assert.notDeepEqual(result.retries, {}, 'the kills had an effect')
  assert.equal(result.acked, result.sent)
  await assertAllStored(ackedFile, result.acked)
})

async function storedBySink(): Promise<number> {
  return Number((await sink.health())?.total_stored ?? 0)
}

async function assertAllStored(ackedFile: string, acked: number): Promise<void> {
  await until('the sink has caught up', async () => await pipeline.isCaughtUp(), 60_000)
  const verdict = await pipeline.verify(ackedFile)
  assert.equal(verdict.ok, true, JSON.stringify(verdict))
  assert.equal(verdict.acked, acked)
  assert.equal(verdict.not_yet_read, 0)
}

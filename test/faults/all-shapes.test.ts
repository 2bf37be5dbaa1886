import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NodeService } from '../../embedded/node-service.ts'
import { load } from '../../tools/load/load.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { quickTimeouts, scale } from '../support/scale.ts'
import { until } from '../support/until.ts'

/* I2 for events of all shapes: any of the optional fields, texts that are hard to copy, without user_id, without event_id. */

const KILLS = 3
const EVENTS = scale.full ? 100_000 : 12_000
const RATE = 1_000

for (const userIds of ['bigint', 'text'] as const) {
  test(`I2: ${EVENTS} events of all shapes while the API and the sink are killed, with user_id of ${userIds}`, async (t) => {
    const pipeline = await Pipeline.start({
      ...quickTimeouts,
      USER_ID_TYPE: userIds,
      CAPTURE_CLIENT: 'ip,user_agent',
    })
    t.after(async () => await pipeline.close())
    const api = await pipeline.startApi()
    const sink = await pipeline.startSink()
    const ackedFile = pipeline.path('acked.tsv')
    const running = load({
      url: api.url,
      rate: RATE,
      connections: 20,
      seconds: EVENTS / RATE,
      seed: userIds,
      shapes: userIds,
      retry: true,
      ackedFile,
    })
    for (let kill = 0; kill < KILLS; kill++) {
      for (const service of [api, sink]) {
        const before = await pipeline.countEvents()
        await until('events are stored', async () => (await pipeline.countEvents()) > before + 500, 60_000)
        await service.kill()
        await service.start()
      }
    }
    const { acked, sent, retries } = await running
    assert.deepEqual([acked, sent], [EVENTS, EVENTS])
    assert.notDeepEqual(retries, {}, 'the kills had an effect')
    await untilCaughtUp(pipeline, sink)
    const verdict = await pipeline.verify(ackedFile)
    const { ok, changed, dead, acked_stored } = verdict
    assert.deepEqual([ok, changed, dead, acked_stored], [true, 0, 0, EVENTS], JSON.stringify(verdict))
    const [rows] = await pipeline.query<{ shapes: number; agents: number }>(`
      SELECT count(DISTINCT (user_id IS NULL, anonymous_id IS NULL, event_name IS NULL, event_type IS NULL,
        session_id IS NULL, source IS NULL))::int AS shapes, count(DISTINCT user_agent)::int AS agents FROM events`)
    // Of 64 subsets, 16 have neither user_id nor anonymous_id.
    assert.deepEqual(rows, { shapes: 48, agents: 4 })
    t.diagnostic(`stored ${verdict.stored}, retried ${JSON.stringify(retries)}`)
  })
}

/** @throws with what the sink says of itself, if it has not caught up within a minute */
async function untilCaughtUp(pipeline: Pipeline, sink: NodeService): Promise<void> {
  try {
    await until('the sink has caught up', async () => await pipeline.isCaughtUp(), 60_000)
  } catch (cause) {
    const facts = [JSON.stringify(await sink.health()), ...sink.lastLines().slice(-20)]
    throw new Error(`the sink has not caught up:\n${facts.join('\n')}`, { cause })
  }
}

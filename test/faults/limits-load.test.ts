import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { NodeService } from '../../embedded/node-service.ts'
import { load } from '../../tools/load/load.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { KeyFileFixture, makeKey } from '../support/key-files.ts'
import { scale } from '../support/scale.ts'

/* A client that sends far more than it may gets its rate, and no other client notices. */

const RATE = 500
const BURST = 1_000
const SECONDS = scale.full ? 60 : 10

const greedy = makeKey('greedy', 'server', { eventsPerSecond: RATE, burst: BURST })
const modest = makeKey('modest', 'server', { eventsPerSecond: 10 * RATE, burst: BURST })
const keys = new KeyFileFixture(greedy, modest)

let pipeline: Pipeline
let api: NodeService

before(async () => {
  pipeline = await Pipeline.start()
  api = await pipeline.startApi({ API_KEYS_FILE: keys.path })
})
after(async () => {
  await pipeline?.close()
  keys.remove()
})

test('a key at ten times its rate gets its rate within 2 %; what another key sends is all accepted', async (t) => {
  const modestLoad = () =>
    load({ url: api.url, key: { text: modest.text }, rate: RATE, connections: 50, seconds: SECONDS })
  const alone = await modestLoad()
  const began = performance.now()
  const [limited, meanwhile] = await Promise.all([
    load({ url: api.url, key: { text: greedy.text }, rate: 10 * RATE, connections: 100, seconds: SECONDS }),
    modestLoad(),
  ])
  const seconds = (performance.now() - began) / 1_000
  t.diagnostic(
    `p99 of the other key ${alone.p99_ms.toFixed(1)} ms alone, ${meanwhile.p99_ms.toFixed(1)} meanwhile; ${limited.acked} of ${limited.sent} accepted in ${seconds.toFixed(2)} s: ${JSON.stringify(limited.errors)}`,
  )
  assert.equal(meanwhile.acked, meanwhile.sent)
  assert.equal(alone.acked, alone.sent)
  const most = BURST + RATE * seconds
  assert.ok(limited.acked <= most, `${limited.acked} accepted, at most ${most} allowed`)
  assert.ok(limited.acked >= 0.98 * (BURST + RATE * SECONDS), `${limited.acked} accepted`)
  assert.deepEqual(Object.keys(limited.errors), ['429'])
})

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { v4, v7 } from 'uuid'
import type { NodeService } from '../../embedded/node-service.ts'
import { RANGES_AHEAD, UNIT_MS } from '../../postgres/partitions/ranges.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { checkOut, hasCommit } from '../support/checkout.ts'
import { record, withProducer } from '../support/records.ts'
import { KEEP_ALL } from '../support/maintained.ts'
import { rehearse } from '../support/rehearsal.ts'
import { assertDrained } from '../support/sink-faults.ts'
import { until } from '../support/until.ts'

/*
 * A sink from before the partitions on a table that has them, as when a table is converted before all of its sinks were
 * replaced. It locks every leaf, so maintenance waits for it and it for maintenance; but nothing is lost.
 */

/** The last commit before the partitions. */
const BEFORE = '9f0bb286d419e36cb416abc4713917c19e7dd5b8'
const DAYS = 5
const isThere = hasCommit(BEFORE)
const skip = !isThere && `this clone has no commit ${BEFORE} (git fetch --unshallow)`
const startMs = Date.now()

let remove = (): void => {}
let pipeline: Pipeline
let sink: NodeService

before(async () => {
  if (!isThere) return
  const old = checkOut(BEFORE)
  remove = old.remove
  pipeline = await Pipeline.start({ KAFKA_TOPIC_PARTITIONS: '1' })
  sink = await pipeline.startService(join(old.dir, 'sink-worker/main.ts'), 'SINK_PORT')
})
after(async () => {
  await pipeline?.close()
  remove()
})

test('I11: a sink from before stores everything on partitions while leaves are made', { skip }, async () => {
  let isOver = false
  const sending = sendUntil(() => isOver)
  try {
    for (let day = 1; day <= DAYS; day++) {
      const nowMs = startMs + day * UNIT_MS.day
      const { ahead } = await rehearse({
        connectionString: pipeline.backend.postgres.url,
        policy: KEEP_ALL,
        nowMs,
      })
      assert.equal(ahead, RANGES_AHEAD.day)
    }
  } finally {
    isOver = true
    await sending
  }
  const sent = await sending
  await assertDrained(pipeline, sink)
  assert.equal(await pipeline.countEvents(), sent)
  assert.deepEqual(await pipeline.query('SELECT FROM dead_letters'), [])
})

/**
 * Sends events of all leaves, of those to come, of none, and each tenth twice, and more when they are stored: a sink that
 * has always more to do holds its locks for longer than maintenance waits.
 *
 * @returns how many of them differ
 */
async function sendUntil(isOver: () => boolean): Promise<number> {
  let sent = 0
  await withProducer(pipeline.backend.kafka.bootstrapServers, async (produce) => {
    while (!isOver()) {
      const ids = Array.from({ length: 100 }, (_, n) =>
        n % 10 === 0
          ? v4()
          : v7({ msecs: startMs + Math.floor(((RANGES_AHEAD.day + DAYS) * n * UNIT_MS.day) / 100) }),
      )
      const all = [...ids, ...ids.filter((_, n) => n % 10 === 5)]
      await produce(all.map((id) => ({ value: record(1, { event_id: id }), partition: 0 })))
      sent += ids.length
      await until('stored', async () => (await pipeline.countEvents()) === sent)
    }
  })
  return sent
}

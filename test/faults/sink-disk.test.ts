import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { NodeService } from '../../embedded/node-service.ts'
import { NO_SMALL_DISK, SmallDisk } from '../../tools/drill/small-disk.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { assertDrained, pausedBy, postEvents, range, SHORT_TIMEOUTS } from '../support/sink-faults.ts'
import { until } from '../support/until.ts'

/* I5: PostgreSQL's disk is full. */

const disk = SmallDisk.tryMount()
const skip = disk === undefined ? NO_SMALL_DISK : false

let pipeline: Pipeline
let api: NodeService
let sink: NodeService

before(async () => {
  if (disk === undefined) return
  pipeline = await Pipeline.start(SHORT_TIMEOUTS, { postgresDir: disk.place })
  api = await pipeline.startApi()
  sink = await pipeline.startSink()
})
after(async () => {
  await pipeline?.close()
  disk?.unmount()
})

test("I5: PostgreSQL's disk is full: every answer is 202, the sink pauses with the reason and drains once there is space", {
  skip,
}, async (t) => {
  assert.ok(disk)
  let sent = 0
  const post = async (): Promise<void> => {
    await postEvents(api, range(sent, 500), { padding: 'x'.repeat(1_000) })
    sent += 500
  }
  await post()
  await until('the sink stores', async () => (await pipeline.countEvents()) === sent)
  disk.fill()
  try {
    const paused = await until('the sink is paused', async () => {
      await post()
      return await pausedBy(sink, /./, 1_000).catch(() => undefined)
    })
    t.diagnostic(`${sent} events sent; ${paused.reason}`)
    assert.match(
      paused.reason ?? '',
      /No space left on device|could not extend|ECONN|terminated|the database system/,
    )
    assert.equal(paused.needs_person, false)
    await post()
  } finally {
    disk.free()
  }
  if (!(await answers())) {
    await pipeline.backend.postgres.kill() // without space for its log, PostgreSQL stops by itself
    await pipeline.backend.postgres.start()
  }
  await assertDrained(pipeline, sink)
  assert.equal(await pipeline.countEvents(), sent)
})

async function answers(): Promise<boolean> {
  return await pipeline.query('SELECT 1').then(
    () => true,
    () => false,
  )
}

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { rssMiB } from '../support/processes.ts'
import { record, withProducer } from '../support/records.ts'
import { until } from '../support/until.ts'

/* I7: memory is bounded in bytes. The API's bound is tested in api-outage.test.ts. */

const BACKLOG_RECORDS = 60_000
const RECORD_BYTES = 3_000
/** Enough for Node, kafkajs and one fetch (8 MiB), decoded and encoded; well below those plus the backlog of 180 MB. */
const LIMIT_MIB = 250

let pipeline: Pipeline

before(async () => {
  pipeline = await Pipeline.start()
})
after(async () => {
  await pipeline?.close()
})

test('I7: the sink drains a backlog larger than its memory', async (t) => {
  const sink = await pipeline.startSink()
  await sink.stop(10_000)
  const padding = 'x'.repeat(RECORD_BYTES)
  await withProducer(pipeline.backend.kafka.bootstrapServers, async (send) => {
    for (let from = 0; from < BACKLOG_RECORDS; from += 300) {
      const values = Array.from({ length: 300 }, (_, index) =>
        record(from + index, { metadata: { padding } }),
      )
      await send(values.map((value) => ({ value, partition: (from / 300) % 4 })))
    }
  })
  await sink.start()
  let peakMiB = 0
  await until('all is stored', async () => {
    peakMiB = Math.max(peakMiB, rssMiB(sink.pid ?? 0))
    return Number((await sink.health())?.total_stored) === BACKLOG_RECORDS
  })
  t.diagnostic(`peak RSS of the sink ${peakMiB.toFixed(0)} MiB`)
  assert.ok(peakMiB < LIMIT_MIB, `${peakMiB} MiB`)
})

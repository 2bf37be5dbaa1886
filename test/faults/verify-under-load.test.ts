import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { statSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { NodeService } from '../../embedded/node-service.ts'
import { load } from '../../tools/load/load.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import type { Verdict } from '../../tools/verify/verify.ts'
import { idOf, record, withProducer } from '../support/records.ts'
import { until } from '../support/until.ts'

/* verify while the services run: events that are still on their way are not findings. */

const REPLAYED_ID = 'c0ffee00-0000-5000-8000-000000000000'

let pipeline: Pipeline
let api: NodeService
let sink: NodeService

before(async () => {
  pipeline = await Pipeline.start()
  api = await pipeline.startApi()
  sink = await pipeline.startSink()
})
after(async () => {
  await pipeline?.close()
})

test('I2: under load, while a sink is frozen, offsets are rewound and dead letters replayed, verify finds no fault', async (t) => {
  await sendDeadLetters()
  const ackedFile = pipeline.path('acked.tsv')
  const stop = new AbortController()
  t.after(() => stop.abort())
  const options = { url: api.url, rate: 500, connections: 10, batch: 20, seconds: 120, retry: true }
  const loading = load({ ...options, ackedFile, signal: stop.signal })
  await until(
    'acknowledged events are in the file',
    () => (statSync(ackedFile, { throwIfNoEntry: false })?.size ?? 0) > 0,
  )

  assertOk(await pipeline.verify(ackedFile))

  const stored = await pipeline.countEvents()
  await sink.freeze()
  await until('the sink lags', async () => (await sentSince(stored)) > 500)
  const frozen = assertOk(await pipeline.verify(ackedFile))
  assert.ok(frozen.not_yet_read > 0)
  sink.thaw()

  const [rewound] = await Promise.all([pipeline.verify(ackedFile), rewind()])
  assertOk(rewound)
  assertOk(await pipeline.verify(ackedFile))
  const [replayed] = await Promise.all([pipeline.verify(ackedFile), replay()])
  assertOk(replayed)

  stop.abort()
  const { acked } = await loading
  await until('all is stored', async () => await pipeline.isCaughtUp(), 60_000)
  const last = assertOk(await pipeline.verify(ackedFile))
  assert.deepEqual([last.acked, last.acked_stored, last.dead], [acked, acked, 2])
})

function assertOk(verdict: Verdict): Verdict {
  assert.ok(verdict.ok, JSON.stringify(verdict))
  assert.ok(verdict.acked > 0)
  return verdict
}

/** Events accepted by the API since it had taken `count`. */
async function sentSince(count: number): Promise<number> {
  const health = (await api.health()) as { total_accepted: number }
  return health.total_accepted - count
}

/** A record that is not an event, and one whose id belongs to another event. */
async function sendDeadLetters(): Promise<void> {
  await withProducer(pipeline.backend.kafka.bootstrapServers, async (produce) => {
    await produce(
      ['not JSON', record(1), record(1, { user_id: 2 })].map((value) => ({ value, partition: 0 })),
    )
  })
  const areDeadLetters = async () => (await pipeline.query('SELECT 1 FROM dead_letters')).length === 2
  await until('both are dead letters', areDeadLetters)
}

async function rewind(): Promise<void> {
  await promisify(execFile)(
    process.execPath,
    ['--disable-warning=TimeoutNegativeWarning', 'cli/firehose.ts', 'rewind', '--to', '0'],
    { cwd: fileURLToPath(new URL('../..', import.meta.url)), env: pipeline.env },
  )
}

/** Leaves the tables as a replay does: the event under a new id, its dead letter `replayed`. */
async function replay(): Promise<void> {
  await pipeline.query(
    `WITH replayed AS (UPDATE dead_letters SET state = 'replayed' WHERE event_id = $1 RETURNING 1)
     INSERT INTO events SELECT $2, 2, "timestamp", metadata, received_at FROM events WHERE event_id = $1`,
    [idOf(1), REPLAYED_ID],
  )
}

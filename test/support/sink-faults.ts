import assert from 'node:assert/strict'
import pg from 'pg'
import type { NodeService } from '../../embedded/node-service.ts'
import type { Pipeline } from '../../tools/stack/pipeline.ts'
import { migrate } from '../../postgres/migrate.ts'
import { idOf, record, withProducer } from './records.ts'
import type { SinkHealth } from '../../tools/stack/sink-health.ts'
import { until } from './until.ts'

/** Short timeouts, so that each fault is noticed quickly; the defaults only take longer. */
export const SHORT_TIMEOUTS = { DATABASE_TIMEOUT_MS: '1000', KAFKA_SESSION_TIMEOUT_MS: '2000' }
/** Generous limit for slow machines. */
const LIMIT_MS = 60_000

/** A range of test events: [from, from + count). */
export function range(from: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => from + index)
}

/** Sends test events to one partition in one record batch. */
export async function sendEvents(
  pipeline: Pipeline,
  numbers: readonly number[],
  change: (n: number) => Record<string, unknown> = () => ({}),
  partition = 0,
): Promise<void> {
  await withProducer(pipeline.backend.kafka.bootstrapServers, async (send) => {
    await send(numbers.map((n) => ({ value: record(n, change(n)), partition })))
  })
}

/** Posts test events in one request and asserts a 202. */
export async function postEvents(
  api: NodeService,
  numbers: readonly number[],
  metadata: object = {},
): Promise<void> {
  const events = numbers.map((n) => ({
    event_id: idOf(n),
    user_id: n,
    timestamp: '2026-01-02T03:04:05Z',
    metadata,
  }))
  await postBatch(api, events)
}

/** Posts events in one request and asserts a 202. */
export async function postBatch(api: Pick<NodeService, 'url'>, events: readonly object[]): Promise<void> {
  const response = await fetch(`${api.url}/events`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(events),
  })
  assert.equal(response.status, 202, await response.text())
}

/** Connection string of the sink's role as described in the README, which is created if it is missing. */
export async function leastPrivilegedUrl(pipeline: Pipeline): Promise<string> {
  const url = new URL(pipeline.backend.postgres.url)
  await migrate(url.href, { sinkRole: { name: 'firehose_sink', password: 'secret' } })
  url.username = 'firehose_sink'
  url.password = 'secret'
  return url.href
}

/** /health of a sink; waits until it answers. */
export async function healthOf(sink: NodeService): Promise<SinkHealth> {
  return (await until('the sink answers', async () => await sink.health())) as unknown as SinkHealth
}

/** Waits until the sink is paused for a matching reason. */
export async function pausedBy(sink: NodeService, reason: RegExp, limitMs = LIMIT_MS): Promise<SinkHealth> {
  let last: SinkHealth | undefined
  try {
    return await until(
      'the sink is paused',
      async () => {
        last = await healthOf(sink)
        return last.state === 'paused' && reason.test(last.reason ?? '') ? last : undefined
      },
      limitMs,
    )
  } catch (error) {
    throw new Error(`expected a pause for ${reason}, but saw ${JSON.stringify(last)}`, { cause: error })
  }
}

/** Waits until the sink has caught up and is running, and compares every record with the tables. */
export async function assertDrained(pipeline: Pipeline, ...sinks: NodeService[]): Promise<void> {
  await until('the sink has caught up', async () => await pipeline.isCaughtUp().catch(() => false), LIMIT_MS)
  for (const sink of sinks)
    await until(`${sink.name} runs`, async () => (await healthOf(sink)).state === 'running', LIMIT_MS)
  const verdict = await pipeline.verify()
  assert.equal(verdict.ok && verdict.changed === 0, true, JSON.stringify(verdict))
}

/** Another superuser client of the database, which tolerates that its session is terminated. */
export async function connectAs(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  return client
}

import pg from 'pg'
import type { Pipeline } from '../../tools/stack/pipeline.ts'
import { until } from './until.ts'

/**
 * Locks `events` against writers, so that a sink that writes waits in its open transaction, after its fence, until
 * release().
 */
export async function blockWriters(pipeline: Pipeline): Promise<{ release: () => Promise<void> }> {
  const client = new pg.Client({ connectionString: pipeline.backend.postgres.url })
  client.on('error', () => {})
  await client.connect()
  await client.query('BEGIN; LOCK TABLE events IN SHARE MODE')
  return {
    release: async () => {
      await client.end()
    },
  }
}

/** Waits until a sink is waiting for a lock in an open transaction that has moved offsets. */
export async function sinkInTransaction(pipeline: Pipeline): Promise<number> {
  return await until('a sink within its transaction', async () => {
    const [row] = await pipeline.query<{ pid: number }>(
      `SELECT pid FROM pg_stat_activity WHERE application_name = 'firehose-sink' AND xact_start IS NOT NULL
       AND backend_xid IS NOT NULL AND wait_event_type = 'Lock'`,
    )
    return row?.pid
  })
}

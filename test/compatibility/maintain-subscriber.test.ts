import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { ask } from '../../tools/stack/ask.ts'
import { startPostgres } from '../../tools/stack/backends.ts'
import { textsOf } from '../support/maintained.ts'
import { CUTOFF, DAY_MS, NO_LEAF, NOW, Retained, TODAY } from '../support/retained.ts'
import { until } from '../support/until.ts'

/*
 * A logical subscriber in another database. (It is on the same server, so the slot is created by hand: CREATE SUBSCRIPTION
 * would wait for itself.)
 */

let server: Awaited<ReturnType<typeof startPostgres>>

before(async () => {
  server = await startPostgres()
  await ask(server.postgres.url, 'ALTER SYSTEM SET wal_level = logical')
  await server.postgres.stop()
  await server.postgres.start()
})
after(async () => {
  await server?.close()
})

/** A publisher, and a subscriber whose table has no partitions. */
async function subscribe(name: string): Promise<{ publisher: Retained; subscriber: Retained }> {
  const publisher = await Retained.make(server.postgres.url, `${name}_publisher`)
  const subscriber = await Retained.make(server.postgres.url, `${name}_subscriber`, 'none')
  await publisher.query('CREATE PUBLICATION p FOR TABLE events WITH (publish_via_partition_root = true)')
  await publisher.query(`SELECT pg_create_logical_replication_slot('${name}', 'pgoutput')`)
  const { hostname, port, username, password, pathname } = new URL(publisher.url)
  const link = `host=${hostname} port=${port} user=${username} password=${password} dbname=${pathname.slice(1)}`
  await subscriber.query(
    `CREATE SUBSCRIPTION s CONNECTION '${link}' PUBLICATION p WITH (create_slot = false, slot_name = '${name}', copy_data = false)`,
  )
  return { publisher, subscriber }
}

test('a logical subscriber goes on through attach, moved strays, moved late rows and drop, and has the same rows', async () => {
  const { publisher, subscriber } = await subscribe('whole')
  const strayDay = TODAY + 20 * DAY_MS // it gets a leaf when maintenance runs at NOW
  await publisher.addRows(
    { user: 1, idMs: TODAY, receivedMs: TODAY, count: 500 },
    { user: 2, idMs: NO_LEAF, receivedMs: TODAY, count: 20 },
    { user: 11, idMs: TODAY, receivedMs: CUTOFF, count: 300 },
    { user: 12, idMs: strayDay, receivedMs: CUTOFF, count: 40 },
    { user: 13, idMs: NO_LEAF, receivedMs: CUTOFF, count: 30 },
  )
  const { actions } = await publisher.maintainAt(NOW)
  assert.deepEqual(textsOf(actions, 'problem'), [])
  assert.match(textsOf(actions, 'made').join('\n'), /with 40 rows from events_stray/)
  assert.match(textsOf(actions, 'moved').join('\n'), /^300 late rows/)
  assert.equal(textsOf(actions, 'dropped').length, 2)
  assert.match(textsOf(actions, 'deleted').join('\n'), /^20 rows of events_stray were deleted/)
  await publisher.addRows(
    { user: 14, idMs: NOW, receivedMs: NOW },
    { user: 15, idMs: TODAY, receivedMs: NOW },
  )

  const kept = { 11: 300, 12: 40, 13: 30, 14: 1, 15: 1 }
  assert.deepEqual(await publisher.users(), kept)
  // Those of a dropped leaf stay there: DROP TABLE is not published.
  await until('the subscriber has caught up', async () => (await subscriber.users())['15'] === 1)
  assert.deepEqual(await subscriber.users(), { 1: 500, ...kept })
  const ids =
    "SELECT md5(string_agg(events::text, ',' ORDER BY event_id)) AS sum FROM events WHERE user_id > 10"
  assert.deepEqual(await subscriber.query(ids), await publisher.query(ids))
  const [{ errors } = { errors: NaN }] = await subscriber.query<{ errors: number }>(
    'SELECT sum(apply_error_count)::int AS errors FROM pg_stat_subscription_stats',
  )
  assert.equal(errors, 0)
})

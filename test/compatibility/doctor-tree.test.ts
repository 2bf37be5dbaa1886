import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { CheckName } from '../../doctor/finding.ts'
import { bounds } from '../../postgres/partitions/leaf.ts'
import { partitionName, rangeAt, UNIT_MS } from '../../postgres/partitions/ranges.ts'
import { diagnose, textOf } from '../support/diagnosis.ts'
import { OtherDatabase } from '../support/databases.ts'
import { connectAs } from '../support/sink-faults.ts'
import { pretendRows, statementsIn, TreeBench } from '../support/tree-bench.ts'

/*
 * What the doctor says about the tables, indexes and locks of a tree is right: each finding is caused, its remedy is taken
 * from its text and applied, and then it is gone.
 */

let bench: TreeBench

before(async () => {
  bench = await TreeBench.open(0)
})
after(async () => {
  await bench?.pipeline.close()
})

test('the size of "events" is that of its partitions', async () => {
  await bench.insert(20_000)
  const { findings } = await diagnose(bench.pipeline.env, ['--check', 'disk'])
  const [, size] = /"events" takes ([\d.]+) MB of/.exec(textOf(findings, 'disk')) ?? []
  assert.ok(Number(size) > 2, textOf(findings, 'disk'))
})

test('invalid indexes: on a partition, and of the root', async () => {
  const { name } = await bench.leaf()
  const index = `${name}_anonymous_id_timestamp_idx`
  await bench.pipeline.query(`UPDATE pg_index SET indisvalid = false WHERE indexrelid = $1::regclass`, [
    index,
  ])
  const rebuilt = await bench.theOnly()
  assert.match(rebuilt.text, new RegExp(`^Index ${index} on "${name}" is invalid`))
  await bench.applySql(rebuilt, 'REINDEX INDEX')
  assert.deepEqual(await bench.found(), [])

  await assert.rejects(bench.pipeline.query(`CREATE UNIQUE INDEX CONCURRENTLY once_idx ON ${name} (user_id)`))
  await bench.applySql(await bench.theOnly(), 'DROP INDEX')
  assert.deepEqual(await bench.found(), [])

  await bench.pipeline.query('CREATE INDEX sources_idx ON ONLY events (source)')
  const root = await bench.theOnly()
  assert.match(root.text, /^Index sources_idx is on "events" itself, but not on all of its partitions/)
  await bench.applySql(root, 'DROP INDEX')
  assert.deepEqual(await bench.found(), [])
})

test('indexes that are missing at the root, or on a default partition', async () => {
  await bench.pipeline.query('DROP INDEX events_received_at_idx')
  const root = await bench.theOnly()
  assert.deepEqual([root.check, root.level], ['indexes', 'note'])
  await bench.applySql(root, 'CREATE INDEX ON events')
  await bench.pipeline.query('DROP INDEX events_other_user_id_timestamp_idx')
  await bench.applySql(await bench.theOnly(), 'CREATE INDEX CONCURRENTLY')
  assert.deepEqual(await bench.found(), [])
})

test('a lock on one partition, or between: who holds it', async (t) => {
  for (const table of ['events_era', (await bench.leaf()).name]) {
    const client = await connectAs(bench.pipeline.backend.postgres.url)
    t.after(async () => await client.end().catch(() => {}))
    await client.query(`BEGIN; LOCK TABLE ONLY ${table} IN SHARE MODE`)
    const lock = await bench.theOnly()
    assert.deepEqual([lock.check, lock.level], ['locks', 'warning'])
    assert.match(lock.text, new RegExp(`holds ${table} for .* \\(ShareLock\\): the sink waits`))
    await bench.applySql(lock, 'SELECT')
    assert.deepEqual(await bench.found({ checks: ['locks'] }), [])
  }
})

test('a column that only one partition requires, and an unlogged partition', async () => {
  const { name } = await bench.leaf()
  await bench.pipeline.query('ALTER TABLE events ADD COLUMN tenant text')
  await bench.pipeline.query('TRUNCATE events')
  await bench.pipeline.query(`ALTER TABLE ${name} ALTER COLUMN tenant SET NOT NULL`)
  await assert.rejects(bench.insert(1), /tenant/)
  const required = await bench.theOnly()
  assert.deepEqual([required.check, required.level], ['tables', 'critical'])
  assert.match(required.text, new RegExp(`^Column tenant of "events" is NOT NULL in the partition ${name}`))
  await bench.applySql(required, `ALTER TABLE ${name}`)
  await bench.insert(1)
  assert.deepEqual(await bench.found(), [])

  await bench.pipeline.query(`ALTER TABLE ${name} SET UNLOGGED`)
  const unlogged = await bench.theOnly()
  assert.match(unlogged.text, new RegExp(`"${name}" is UNLOGGED`))
  await bench.applySql(unlogged, 'ALTER TABLE')
  assert.deepEqual(await bench.found(), [])
})

test('a partition that Firehose did not make', async () => {
  await bench.pipeline.query(
    `CREATE TABLE mine PARTITION OF events_era FOR VALUES FROM ('0232b8c8-0000-7000-8000-000000000001') TO (MAXVALUE)`,
  )
  const odd = await bench.theOnly({ checks: ['partitions'] })
  assert.equal(odd.level, 'warning')
  assert.match(odd.text, /^The partition mine has a range that Firehose did not make\.$/)
  await bench.applySql(odd, 'ALTER TABLE')
  assert.deepEqual(await bench.found(), [])
})

test('more than 600 partitions: the doctor is still fast', async () => {
  const MOST = 600
  const { leaves } = await bench.tree()
  const first = leaves.length
  const endMs = leaves.at(-1)!.toMs
  for (let n = first; n <= MOST; n++) {
    const range = rangeAt('day', endMs + (n - first) * UNIT_MS.day)
    await bench.pipeline.query(
      `CREATE TABLE ${partitionName(range)} PARTITION OF events_era FOR VALUES ${bounds(range)}`,
    )
  }
  const beganMs = performance.now()
  const many = await bench.theOnly({ checks: ['partitions', 'maintenance', 'event-ids', 'tables', 'locks'] })
  assert.ok(performance.now() - beganMs < 10_000)
  assert.deepEqual([many.check, many.level], ['partitions', 'warning'])
  assert.match(many.text, /has 601 partitions/)
  await bench.applySql(many, 'ALTER TABLE events_era DETACH')
  assert.deepEqual(await bench.found({ checks: ['partitions'] }), [])
})

test('a table from before: indexes of an earlier version, and so many rows that partitions are worth it', async () => {
  const old = await OtherDatabase.create(bench.pipeline, 'old', '', { EVENTS_PARTITION: 'none' })
  const run = async (...args: string[]): Promise<void> => {
    const { code, out, err } = await old.run(...args)
    assert.equal(code, 0, out + err)
  }
  await run('migrate')
  const look = async (check: CheckName) => await bench.theOnly({ checks: [check], env: old.env })
  await old.query(`DROP INDEX events_timestamp_idx; DROP INDEX events_received_at_idx;
    CREATE INDEX events_timestamp_idx ON events USING brin ("timestamp");
    INSERT INTO events (event_id, user_id, "timestamp", metadata, received_at)
      SELECT gen_random_uuid(), 7, now(), '{}', now() FROM generate_series(1, 100)`)
  const [missing, plain] = await bench.found({ checks: ['indexes'], env: old.env })
  assert.deepEqual([missing?.level, plain?.level], ['note', 'note'])
  assert.match(missing?.text ?? '', /^"events" has no index on \(received_at\)/)
  assert.match(plain?.text ?? '', /^Index events_timestamp_idx on "events" is of an earlier version/)
  for (const { mend = '' } of [missing!, plain!])
    for (const statement of statementsIn(mend, '(CREATE|DROP) INDEX')) await old.query(statement)
  assert.deepEqual(await bench.found({ checks: ['indexes'], env: old.env }), [])
  const built = await old.query<{ count: number }>(
    `SELECT count(*)::int FROM pg_indexes WHERE tablename = 'events'
     AND indexdef ~ 'USING brin \\("?(timestamp|received_at)"? timestamptz_minmax_multi_ops\\) WITH \\(autosummarize='`,
  )
  assert.equal(built[0]?.count, 2)

  await pretendRows(old, 'events', 20_000_000)
  const large = await look('partitions')
  assert.equal(large.level, 'note')
  assert.match(large.text, /one table of about 20,000,000 rows/)
  const [, command = ''] = /^npx firehose (maintain --convert) splits/.exec(large.mend ?? '') ?? []
  await run(...command.split(' '), '--dry-run')
  await run(...command.split(' '))
  const checks: CheckName[] = ['partitions', 'maintenance', 'indexes', 'tables', 'event-ids', 'user-search']
  assert.deepEqual(await bench.found({ checks, env: old.env }), [])
})

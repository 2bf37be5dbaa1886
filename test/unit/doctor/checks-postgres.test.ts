import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runChecks } from '../../../doctor/checks.ts'
import type { Facts } from '../../../doctor/facts.ts'
import type { IndexFacts, LockFacts } from '../../../doctor/facts-postgres.ts'
import { CHECKS, worstOf } from '../../../doctor/finding.ts'
import type { NeedFacts } from '../../../postgres/needs.ts'
import { testBroken } from './broken.ts'
import { failed, healthy, ok, withComparison, withPostgres, withServer, withSettings } from './healthy.ts'

test('a healthy installation is ok in every check', () => {
  const findings = runChecks(healthy())
  assert.deepEqual([...new Set(findings.map(({ level }) => level))], ['ok'])
  assert.deepEqual(findings.map(({ check }) => check).toSorted(), Object.keys(CHECKS).toSorted())
})

const HELD: LockFacts = {
  table: 'events',
  isPartition: false,
  mode: 'AccessExclusiveLock',
  pid: 4711,
  id: '3/14',
  gid: null,
  role: 'ann',
  application: 'psql',
  isSink: false,
  state: 'idle in transaction',
  ageS: 130,
}

testBroken([
  [
    'PostgreSQL is down',
    { ...healthy(), postgres: failed, comparison: undefined },
    'postgres',
    'critical',
    /db:5432\/firehose cannot be reached/,
  ],
  [
    'PostgreSQL is too old',
    withServer({ version_num: 160_001, version: '16.1' }),
    'postgres',
    'critical',
    /16\.1 is too old, because Firehose needs version 17 or later: nothing is stored/,
  ],
  [
    'another encoding than UTF8',
    withServer({ encoding: 'LATIN1' }),
    'postgres',
    'critical',
    /The database firehose has the encoding LATIN1, which cannot hold every event/,
  ],
  [
    'PostgreSQL is one version older than tested',
    withServer({ version_num: 170_006, version: '17.6' }),
    'postgres',
    'note',
    /17\.6 is older than the version that Firehose is tested with \(18\)/,
  ],
  [
    'PostgreSQL is newer than tested',
    withServer({ version_num: 190_000, version: '19.0' }),
    'postgres',
    'note',
    /newer/,
  ],
  ['a standby', withServer({ in_recovery: true }), 'postgres', 'critical', /standby/],
  [
    'read only',
    withSettings({ default_transaction_read_only: 'on' }),
    'postgres',
    'critical',
    /read_only is on for firehose_sink/,
  ],
  ['fsync off', withServer({ fsync: false }), 'durability', 'critical', /fsync is off/],
  [
    'full_page_writes off',
    withServer({ full_page_writes: false }),
    'durability',
    'warning',
    /full_page_writes is off/,
  ],
  [
    'synchronous_commit off',
    withSettings({ synchronous_commit: 'off' }),
    'durability',
    'note',
    /no event is lost while Kafka keeps it/,
  ],
  [
    'a short statement_timeout',
    withSettings({ statement_timeout: '5s' }),
    'timeouts',
    'warning',
    /statement_timeout is 5s for firehose_sink/,
  ],
  [
    'sinks with different roles',
    withPostgres({ sinkRoles: { roles: ['a', 'b'], connected: true } }),
    'timeouts',
    'warning',
    /as a and b/,
  ],
  ['few connections', withServer({ connections: 95 }), 'connections', 'warning', /95 of 97/],
  ['wraparound is near', withServer({ xid_age: 1_200_000_000 }), 'wraparound', 'warning', /1,200,000,000/],
  [
    'wraparound is imminent',
    withServer({ xid_age: 1_900_000_000 }),
    'wraparound',
    'critical',
    /no more writes/,
  ],
  [
    'a replication slot retains WAL',
    withPostgres({ wal: ok({ slots: [{ name: 'old', bytes: 3e9 }], archiving_fails: false }) }),
    'wal',
    'warning',
    /slot old is inactive and retains 3\.0 GB/,
  ],
  [
    'archiving fails',
    withPostgres({ wal: ok({ slots: [], archiving_fails: true }) }),
    'wal',
    'warning',
    /archiving fails/,
  ],
  [
    'a table is missing',
    needs({
      tables: [
        { name: 'events', kind: 'r' },
        { name: 'sink_offsets', kind: null },
        { name: 'dead_letters', kind: null },
      ],
    }),
    'tables',
    'critical',
    /The table "sink_offsets", "dead_letters" does not exist: the sink stops/,
  ],
  [
    'events is a view',
    needs({
      tables: [
        { name: 'events', kind: 'v' },
        { name: 'sink_offsets', kind: 'r' },
        { name: 'dead_letters', kind: 'r' },
      ],
    }),
    'tables',
    'critical',
    /"events" is a view/,
  ],
  ['a rule', needs({ rules: ['no_insert'] }), 'tables', 'warning', /The rule no_insert of "events"/],
  [
    'a deferrable constraint',
    needs({ deferrable: ['one_each'] }),
    'tables',
    'warning',
    /The constraint one_each of "events" is deferrable/,
  ],
  [
    'row-level security',
    needs({ hidden: [{ role: 'firehose_sink', table: 'events' }] }),
    'rights',
    'critical',
    /Row-level security hides rows of "events" from the role firehose_sink/,
  ],
  [
    'a migration is missing',
    tables({ missingMigrations: ['004_more.sql'] }),
    'tables',
    'critical',
    /004_more\.sql was not applied/,
  ],
  [
    'a column was altered',
    tables({ events: { types: 'event_id text', expectedTypes: 'event_id uuid', requiredColumns: [] } }),
    'tables',
    'critical',
    /\(event_id text\)/,
  ],
  [
    'a column is required',
    tables({
      events: { types: '', expectedTypes: '', requiredColumns: [{ name: 'tenant', table: 'events' }] },
    }),
    'tables',
    'critical',
    /tenant of "events" is NOT NULL/,
  ],
  [
    'events is unlogged',
    tables({
      found: [
        { name: 'events', unlogged: true },
        { name: 'sink_offsets', unlogged: false },
        { name: 'dead_letters', unlogged: false },
      ],
    }),
    'tables',
    'critical',
    /"events" is UNLOGGED/,
  ],
  [
    'the offsets are unlogged',
    tables({
      found: [
        { name: 'events', unlogged: false },
        { name: 'sink_offsets', unlogged: true },
        { name: 'dead_letters', unlogged: false },
      ],
    }),
    'tables',
    'warning',
    /"sink_offsets" is UNLOGGED/,
  ],
  [
    'events has no primary key',
    indexes((index) => index.name !== 'events_pkey'),
    'indexes',
    'critical',
    /no unique index on \(event_id\)/,
  ],
  [
    'an invalid index',
    indexes((index) => ({ ...index, valid: index.name !== 'events_20270131_user_id_timestamp_idx' })),
    'indexes',
    'warning',
    /events_20270131_user_id_timestamp_idx on "events_20270131" is invalid/,
  ],
  [
    'an index for queries is missing',
    indexes((index) => index.name !== 'events_timestamp_idx'),
    'indexes',
    'note',
    /no index on \(timestamp\)/,
  ],
  [
    'a privilege is missing',
    needs({ lacking: [{ role: 'firehose_sink', on: '', object: 'events', privilege: 'INSERT' }] }),
    'rights',
    'critical',
    /firehose_sink lacks INSERT on events: the sink stops/,
  ],
  [
    'a trigger needs a privilege',
    withPostgres({
      triggers: ok([
        {
          role: 'firehose_sink',
          on: '',
          object: 'audit',
          privilege: 'INSERT',
          trigger: 'audit_events',
          function: 'audit_row()',
        },
      ]),
    }),
    'rights',
    'warning',
    /The trigger audit_events of "events" seems to need INSERT on audit, which the role firehose_sink lacks/,
  ],
  [
    'a lock',
    withComparison({ locks: [HELD] }),
    'locks',
    'warning',
    /ann \(psql\), pid 4711, idle in transaction, holds events for 2 min/,
  ],
  [
    'a lock on all partitions',
    withComparison({ locks: [{ ...HELD, table: 'events_20270131', isPartition: true }, HELD] }),
    'locks',
    'warning',
    /holds events for 2 min/,
  ],
  [
    'a lock on one partition',
    withComparison({ locks: [{ ...HELD, table: 'events_20270131', isPartition: true }] }),
    'locks',
    'warning',
    /holds events_20270131 for 2 min/,
  ],
  [
    'a prepared transaction',
    withComparison({ locks: [{ ...HELD, pid: null, gid: 'p1' }] }),
    'locks',
    'warning',
    /prepared transaction 'p1'/,
  ],
  [
    'a frozen sink',
    withComparison({ locks: [{ ...HELD, isSink: true, table: 'sink_offsets' }] }),
    'locks',
    'warning',
    /holds sink_offsets/,
  ],
  [
    'open dead letters',
    withPostgres({ deadLetters: ok([{ reason: 'undecodable', count: 3 }]) }),
    'dead-letters',
    'warning',
    /3 open dead letters \(3 undecodable\)/,
  ],
])

test('locks: a lock of another session is reported even if it is new or its age is hidden', () => {
  for (const ageS of [3, null])
    assert.equal(worstOf(runChecks(withComparison({ locks: [{ ...HELD, ageS }] }))), 'warning')
})

test('locks: a lock that a sink holds briefly is not reported', () => {
  assert.equal(worstOf(runChecks(withComparison({ locks: [{ ...HELD, isSink: true, ageS: 2 }] }))), 'ok')
})

function needs(change: Partial<NeedFacts>): Facts {
  const { postgres } = healthy()
  assert.ok(postgres.ok && postgres.value.needs.ok)
  return withPostgres({ needs: ok({ ...postgres.value.needs.value, ...change }) })
}

function tables(change: object): Facts {
  const { postgres } = healthy()
  assert.ok(postgres.ok && postgres.value.tables.ok)
  return withPostgres({ tables: ok({ ...postgres.value.tables.value, ...change }) })
}

function indexes(change: (index: IndexFacts) => IndexFacts | boolean): Facts {
  const { postgres } = healthy()
  assert.ok(postgres.ok && postgres.value.indexes.ok)
  const changed = postgres.value.indexes.value.flatMap((index) => {
    const result = change(index)
    return typeof result === 'object' ? [result] : result ? [index] : []
  })
  return withPostgres({ indexes: ok(changed) })
}

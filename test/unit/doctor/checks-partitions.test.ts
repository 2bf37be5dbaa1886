import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { runChecks } from '../../../doctor/checks.ts'
import type { DoctorSettings, Facts } from '../../../doctor/facts.ts'
import type { LayoutFacts, NewestRows } from '../../../doctor/facts-layout.ts'
import { type CheckName, worstOf } from '../../../doctor/finding.ts'
import { LayoutError, type Tree } from '../../../postgres/partitions/tree.ts'
import { type Broken, testBroken } from './broken.ts'
import { failed, healthy, ok, withComparison, withPostgres, withTopic } from './healthy.ts'
import { indexesOf, indexesOfTable, layoutOf, oneTable, treeOf, VACUUMED } from './healthy-layout.ts'

const RETENTION = { retentionDays: 30 }

/** A tree, with all its indexes unless they are changed, and other facts about it. */
function withTree(tree: Tree, change: Partial<LayoutFacts> = {}, indexes = indexesOf(tree)): Facts {
  return withPostgres({ layout: ok({ ...layoutOf(tree), ...change }), indexes: ok(indexes) })
}

function withSettings(change: Partial<DoctorSettings>, facts = healthy()): Facts {
  return { ...facts, settings: { ...facts.settings, ...change } }
}

/** Leaves out some leaves. */
function without(tree: Tree, isGone: (index: number) => boolean): Tree {
  return { ...tree, leaves: tree.leaves.filter((_, index) => !isGone(index)) }
}

/** A tree with other facts about some of its leaves. */
function withStores(tree: Tree, change: (index: number) => object): Facts {
  const layout = layoutOf(tree)
  const stores = new Map(layout.stores)
  for (const [index, { oid }] of tree.leaves.entries()) stores.set(oid, { ...VACUUMED, ...change(index) })
  return withTree(tree, { stores })
}

/** Maintenance then makes partitions more rarely. */
function withLargeStray(tree: Tree): Facts {
  const { stores } = layoutOf(tree)
  return withTree(tree, { stores: new Map([...stores, [tree.stray.oid, { ...VACUUMED, bytes: 200e6 }]]) })
}

/** A tree whose leaves lack the indexes on users. */
function withoutUserIndexes(tree: Tree, from: number): ReturnType<typeof indexesOf> {
  const names = new Set(tree.leaves.slice(from).map(({ name }) => name))
  return indexesOf(tree).filter(({ table }) => !names.has(table))
}

function withNewest(...newest: [NewestRows['place'], number | null, number][]): Facts {
  const rows = newest.map(([place, version, count]) => ({ place, version, count }))
  return withTree(treeOf(), { newest: ok(rows) })
}

function unknown(isOurs: boolean): Facts {
  const problem = new LayoutError('it is odd', 'change it', isOurs)
  return withPostgres({
    layout: ok({ ...oneTable(0), layout: { kind: 'unknown', problem } }),
    indexes: ok(indexesOfTable()),
  })
}

function withLastRun(health: Record<string, unknown>, ready = true): Facts {
  const facts = healthy()
  return { ...facts, maintain: { ...facts.maintain, answer: ok({ ready, reason: undefined, health }) } }
}

const large = treeOf()
const SEARCH = withTree(
  large,
  { stores: new Map([[large.leaves[2]!.oid, { ...VACUUMED, rows: 9e6 }]]) },
  withoutUserIndexes(large, 3),
)

const PARTITIONS: readonly Broken[] = [
  [
    'no partition ahead',
    withTree(treeOf(3, 0)),
    'partitions',
    'critical',
    /a partition for now, but none after it \(usually 14\): from 2027-02-01T00:00:00Z on, rows collect/,
  ],
  [
    'no partition for now',
    withTree(without(treeOf(3, 0), (index) => index === 3)),
    'partitions',
    'critical',
    /no partition for now, and none after it \(usually 14\): now, rows/,
  ],
  [
    'no partition at all',
    withTree(treeOf(-1, 0)),
    'partitions',
    'critical',
    /no partition for now, and none/,
  ],
  [
    'two partitions ahead',
    withTree(treeOf(3, 2)),
    'partitions',
    'warning',
    /a partition for now, but only 2 after it/,
  ],
  [
    'two hours ahead',
    withTree(treeOf(3, 2, 'hour')),
    'partitions',
    'warning',
    /only 2 after it \(usually 48\).*an hour with more than 10,000/,
  ],
  [
    'the partition of now could not be made',
    withTree(without(treeOf(), (index) => index === 3)),
    'partitions',
    'warning',
    /no partition for the ids of now, although those after it exist/,
  ],
  [
    'many partitions',
    withTree(treeOf(600, 14)),
    'partitions',
    'warning',
    /has 615 partitions: each makes planning slower/,
  ],
  ['too many partitions', withTree(treeOf(790, 14)), 'partitions', 'critical', /has 805 partitions/],
  [
    'a large table',
    withPostgres({ layout: ok(oneTable(12e6)), indexes: ok(indexesOfTable()) }),
    'partitions',
    'note',
    /one table of about 12,000,000 rows/,
  ],
  ["a user's own partitions", unknown(false), 'partitions', 'note', /^It is odd\.$/],
  ['a partition that is not of Firehose', unknown(true), 'partitions', 'warning', /^It is odd\.$/],
  ['an unknown layout', withPostgres({ layout: failed }), 'partitions', 'unknown', /could not be checked/],
]

const MAINTENANCE: readonly Broken[] = [
  [
    'maintenance is late',
    withTree(treeOf(3, 12)),
    'maintenance',
    'warning',
    /made only 12 days ahead of now, not 14/,
  ],
  [
    'maintenance of hours is late',
    withTree(treeOf(3, 46, 'hour')),
    'maintenance',
    'warning',
    /made only 46 hours ahead of now, not 48/,
  ],
  [
    'maintenance is late beside a large events_stray',
    withLargeStray(treeOf(3, 5)),
    'maintenance',
    'warning',
    /made only 5 days ahead of now, not 14/,
  ],
  [
    'a partition is past retention',
    withSettings(RETENTION, withTree(treeOf(32))),
    'maintenance',
    'warning',
    /^1 partition of "events" \(events_20261230\) ended more than EVENTS_RETENTION_DAYS=30 and a day ago/,
  ],
  [
    'partitions were not vacuumed',
    withStores(treeOf(5), (index) => ({ isVacuumed: index >= 4 })),
    'maintenance',
    'warning',
    /^4 partitions of "events" \(.*20270126, .*20270129\), over for more than a day, were not vacuumed/,
  ],
  [
    'closed partitions lack their index',
    withTree(
      large,
      {},
      indexesOf(large).filter(({ name }) => name !== 'events_20270128_user_id_timestamp_idx'),
    ),
    'indexes',
    'warning',
    /^1 partition of "events" \(events_20270128\), over for more than a day, has no index/,
  ],
  [
    'an open partition lacks its index',
    withTree(large, {}, withoutUserIndexes(large, large.leaves.length - 1)),
    'indexes',
    'note',
    /^1 partition of "events" \(events_20270214\), still open, has no index/,
  ],
  [
    'an open partition is too large to be searched',
    withSettings({ userIndex: 'deferred' }, SEARCH),
    'user-search',
    'warning',
    /^The open partition events_20270131 has no index on users or visitors, .* 9,000,000 rows: .* about 1\.0 s until 2027-02-01T00:00:00Z/,
  ],
  [
    'the last run had a problem',
    withLastRun({ state: 'waiting', last_run: { problems: ['It stays.', 'It too.'] } }),
    'maintain',
    'warning',
    /left 2 things undone: It stays\.$/,
  ],
  [
    'maintenance fails',
    withLastRun({ state: 'failing', reason: 'no right' }, false),
    'maintain',
    'warning',
    /cannot work: no right\.$/,
  ],
  [
    'no maintenance service',
    { ...healthy(), maintain: { ...healthy().maintain, answer: failed } },
    'maintain',
    'note',
    /No maintenance service answers at http:\/\/maintain:8003 \(the reason\)/,
  ],
]

const RETAINED: readonly Broken[] = [
  [
    'events go before their records',
    withSettings({ retentionDays: 7 }),
    'event-retention',
    'warning',
    /^EVENTS_RETENTION_DAYS is 7, but the topic keeps records for 7 days, and .* a day longer .* are stored again\.$/,
  ],
  [
    'events go while the topic keeps all',
    withSettings(RETENTION, withTopic({ 'retention.ms': '-1' })),
    'event-retention',
    'warning',
    /keeps records for ever: records/,
  ],
  [
    'letters go before their records',
    withSettings({ deadLetterDays: 2 }),
    'event-retention',
    'warning',
    /DEAD_LETTERS_RETENTION_DAYS is 2.*become open dead letters again/,
  ],
]

const IDS: readonly Broken[] = [
  [
    'some random ids',
    withNewest(['leaf', 7, 900], ['other', 4, 90], ['other', 1, 10]),
    'event-ids',
    'note',
    /^10 % of the newest 1,000 rows are in events_other: their ids \(UUIDv4 and UUIDv1\)/,
  ],
  ['only random ids', withNewest(['other', 4, 100], ['other', null, 3]), 'event-ids', 'warning', /^100 % of/],
  [
    'some strays',
    withNewest(['leaf', 7, 980], ['stray', 7, 20]),
    'event-ids',
    'note',
    /^2\.0 % of the newest 1,000 rows are in events_stray/,
  ],
  ['many strays', withNewest(['leaf', 7, 800], ['stray', 7, 200]), 'event-ids', 'warning', /^20 % of/],
  ['rows may not be read', withTree(large, { newest: failed }), 'event-ids', 'unknown', /the reason/],
]

const INDEXES: readonly Broken[] = [
  [
    'an index of the root is not on all partitions',
    withTree(large, {}, [
      ...indexesOf(large),
      { ...indexesOf(large)[0]!, name: 'mine', keys: 'source', unique: false, valid: false },
    ]),
    'indexes',
    'warning',
    /^Index mine is on "events" itself, but not on all of its partitions/,
  ],
  [
    'an index is invalid on many partitions',
    withTree(
      large,
      {},
      indexesOf(large).map((index) => ({ ...index, valid: index.keys !== 'user_id,timestamp' })),
    ),
    'indexes',
    'warning',
    /^The indexes events_stray_user_id_timestamp_idx, .* and 17 more are invalid/,
  ],
  [
    'a default partition lacks its index',
    withTree(
      large,
      {},
      indexesOf(large).filter(({ name }) => name !== 'events_other_user_id_timestamp_idx'),
    ),
    'indexes',
    'note',
    /^"events_other" has no index on \(user_id,timestamp\)/,
  ],
  [
    'an index on time of an earlier version',
    withPostgres({
      layout: ok(oneTable(1_000)),
      indexes: ok(
        indexesOfTable().map((index) =>
          index.keys === 'timestamp' ? { ...index, operators: 'timestamptz_minmax_ops' } : index,
        ),
      ),
    }),
    'indexes',
    'note',
    /^Index events_timestamp_idx on "events" is of an earlier version/,
  ],
]

testBroken([...PARTITIONS, ...MAINTENANCE, ...RETAINED, ...IDS, ...INDEXES])

/** What is as it should be, however close to a limit. */
const GOOD: readonly [name: string, facts: Facts, check: CheckName][] = [
  ['just before a run, one partition is missing', withTree(treeOf(3, 13)), 'maintenance'],
  ['just before a run, one hour is missing', withTree(treeOf(3, 47, 'hour')), 'maintenance'],
  ['beside a large events_stray, half of the partitions', withLargeStray(treeOf(3, 6)), 'maintenance'],
  ['three partitions ahead are enough for the check of them', withTree(treeOf(3, 3)), 'partitions'],
  [
    'the day of a conversion, before the first partition',
    withTree({
      ...without(treeOf(), (index) => index <= 3),
      era: { ...treeOf().era, fromMs: treeOf().leaves[4]!.fromMs },
    }),
    'partitions',
  ],
  ['600 partitions', withTree(treeOf(585, 14)), 'partitions'],
  ['the last partition that retention keeps', withSettings(RETENTION, withTree(treeOf(31))), 'maintenance'],
  [
    'a partition that was over yesterday, and the open one, need no vacuum',
    withStores(treeOf(2), (index) => ({ isVacuumed: index < 1 })),
    'maintenance',
  ],
  [
    'partitions without an index on users that maintenance builds later',
    withSettings({ userIndex: 'deferred' }, withTree(large, {}, withoutUserIndexes(large, 2))),
    'indexes',
  ],
  [
    'a small open partition without an index on users',
    withSettings({ userIndex: 'deferred' }, withTree(large, {}, withoutUserIndexes(large, 3))),
    'user-search',
  ],
  ['events that stay a day longer than their records', withSettings({ retentionDays: 8 }), 'event-retention'],
  ['few rows', withNewest(['other', 4, 99]), 'event-ids'],
  [
    'one table, whatever its ids',
    withPostgres({ layout: ok(oneTable(9e6)), indexes: ok(indexesOfTable()) }),
    'event-ids',
  ],
]
for (const [name, facts, check] of GOOD) {
  test(`${check}: ${name} is ok`, () => {
    const findings = runChecks(facts).filter((finding) => finding.check === check)
    assert.ok(findings.length > 0)
    assert.equal(worstOf(findings), 'ok', findings.map(({ text }) => text).join('\n'))
  })
}

test('a maintenance service that does not answer at a given address is a warning if its work is late', () => {
  const facts = { ...withTree(treeOf(3, 1)), maintain: { url: 'http://m', named: true, answer: failed } }
  const levels = runChecks(facts).map(({ check, level }) => `${check} ${level}`)
  assert.ok(levels.includes('maintain warning') && levels.includes('partitions warning'), levels.join())
})

test('event-retention: events that wait for longer than they are kept are critical', () => {
  const progress = { seconds: 2, produced: 0, stored: 9, unread: 9, oldestS: 90_000 }
  const found = runChecks(withSettings({ retentionDays: 1 }, withComparison({ progress })))
  const { level, text } = found.find(({ check }) => check === 'event-retention') ?? { level: '', text: '' }
  assert.equal(level, 'critical')
  assert.match(text, /are deleted as soon as they are stored/)
})

test('the runbook has what to do about each of these checks', () => {
  const runbook = readFileSync(new URL('../../../docs/RUNBOOK.md', import.meta.url), 'utf8')
  const [, section = ''] =
    /## The doctor finds something about partitions\n([\s\S]*?)\n## /.exec(runbook) ?? []
  const named = new Set<string | undefined>(
    [...section.matchAll(/^\| `([a-z-]+)` \|/gm)].map(([, name]) => name),
  )
  const checks = [...PARTITIONS, ...MAINTENANCE, ...RETAINED, ...IDS, ...INDEXES].map(([, , check]) => check)
  assert.deepEqual(named, new Set<string | undefined>(checks))
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type NeedFacts, obstaclesOf } from '../../../postgres/needs.ts'
import { GOOD_NEEDS } from '../../support/good-needs.ts'

const GOOD: NeedFacts = { ...GOOD_NEEDS, role: 'sink' }
const NO_TABLES = GOOD.tables.map(({ name }) => ({ name, kind: null }))

test('a database as migrate leaves it has no obstacle, nor has a partitioned "events"', () => {
  assert.deepEqual(obstaclesOf(GOOD), [])
  assert.deepEqual(obstaclesOf({ ...GOOD, tables: [{ name: 'events', kind: 'p' }] }), [])
})

const obstacles: [what: string, change: Partial<NeedFacts>, text: RegExp, remedy: RegExp][] = [
  [
    'before the first migrate',
    { tables: NO_TABLES, isMigrated: false },
    /does not exist/,
    /run "npx firehose migrate"/,
  ],
  ['after a table was dropped', { tables: NO_TABLES }, /does not exist/, /^rename it back/],
  [
    'without USAGE on the schema',
    { tables: NO_TABLES, elsewhere: [{ schema: 'a', isSearched: true }] },
    /cannot see the tables in the schema "a"/,
    /^GRANT USAGE ON SCHEMA "a" TO sink;/,
  ],
  [
    'with another search_path',
    { tables: NO_TABLES, elsewhere: [{ schema: 'a', isSearched: false }] },
    /not in the search_path/,
    /^set DATABASE_SCHEMA=a/,
  ],
  ['a foreign table', { tables: [{ name: 'events', kind: 'f' }] }, /"events" is a foreign table/, /rename/],
  [
    'partitioned offsets',
    { tables: [{ name: 'sink_offsets', kind: 'p' }] },
    /is a partitioned table/,
    /rename/,
  ],
  [
    'row-level security',
    { hidden: [{ role: 'sink', table: 'sink_offsets' }] },
    /hides rows of "sink_offsets"/,
    /BYPASSRLS/,
  ],
  [
    'privileges, one statement for each object',
    {
      lacking: [
        { role: 'sink', on: '', object: 'events', privilege: 'SELECT' },
        { role: 'sink', on: '', object: 'events', privilege: 'INSERT' },
        { role: 'sink', on: 'SEQUENCE ', object: 'events_seq_seq', privilege: 'USAGE' },
      ],
    },
    /sink lacks SELECT on events, INSERT on events, USAGE on sequence events_seq_seq/,
    /^GRANT SELECT, INSERT ON events TO sink; GRANT USAGE ON SEQUENCE events_seq_seq TO sink; /,
  ],
]

for (const [what, change, text, remedy] of obstacles) {
  test(`an obstacle, with its remedy: ${what}`, () => {
    const found = obstaclesOf({ ...GOOD, ...change })
    assert.equal(found.length, 1)
    assert.match(found[0]?.text ?? '', text)
    assert.match(found[0]?.remedy ?? '', remedy)
  })
}

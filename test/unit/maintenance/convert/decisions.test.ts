import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Facts, IndexFacts } from '../../../../maintenance/convert/facts.ts'
import { missingIndexes, ourOtherName, remains, roleOf } from '../../../../maintenance/convert/index-roles.ts'
import { otherName, uniqueName } from '../../../../maintenance/convert/names.ts'
import { eraOf, isStillAhead, pauseOf } from '../../../../maintenance/convert/pause.ts'
import { refusalsOf } from '../../../../maintenance/convert/refusals.ts'
import { eraOfCheck } from '../../../../maintenance/convert/keep-era-out.ts'
import { addNotEra, swapStatements } from '../../../../maintenance/convert/swap.ts'
import { UNIT_MS } from '../../../../postgres/partitions/ranges.ts'

const INDEX: IndexFacts = {
  name: 'mine',
  sql: 'mine',
  comment: null,
  method: 'btree',
  isUnique: false,
  isValid: true,
  isPartial: false,
  hasExpressions: false,
  definition: 'CREATE INDEX mine ON public.events USING btree (source)',
  tablespace: null,
  keys: ['source'],
  opclasses: ['text_ops'],
  options: null,
  constraintType: null,
  constraint: null,
  constraintComment: null,
}
const KEY: IndexFacts = {
  ...INDEX,
  name: 'events_pkey',
  sql: 'events_pkey',
  isUnique: true,
  keys: ['event_id'],
  constraintType: 'p',
  constraint: 'PRIMARY KEY (event_id)',
}
const OLD_BRIN: IndexFacts = {
  ...INDEX,
  name: 'events_timestamp_idx',
  sql: 'events_timestamp_idx',
  method: 'brin',
  keys: ['timestamp'],
  opclasses: ['timestamptz_minmax_ops'],
}
const BRIN: IndexFacts = { ...OLD_BRIN, opclasses: ['timestamptz_minmax_multi_ops'] }
const OF_USER: IndexFacts = { ...INDEX, name: 'by_user', sql: 'by_user', keys: ['user_id', 'timestamp'] }

const FACTS: Facts = {
  schema: 'public',
  owner: 'keeper',
  bytes: 0,
  options: null,
  tablespace: null,
  replicaIdentity: 'd',
  rowSecurity: false,
  forceRowSecurity: false,
  hasAcl: false,
  comment: null,
  taken: [],
  columns: [],
  constraints: [],
  indexes: [KEY],
  triggers: [],
  policies: [],
  grants: [],
  defaultGrantees: [],
  statistics: [],
  sequences: [],
  dependents: [],
  ties: [],
}

test('the roles of indexes, and those that are missing', () => {
  assert.deepEqual([KEY, BRIN, OF_USER, OLD_BRIN, INDEX].map(roleOf), [
    'key',
    'time',
    'user index',
    'superseded',
    'own',
  ])
  assert.equal(roleOf({ ...BRIN, isPartial: true }), 'own')
  assert.equal(roleOf({ ...OF_USER, isUnique: true }), 'own')
  const definitions = (indexes: IndexFacts[]) => missingIndexes({ indexes }).length
  assert.equal(definitions([KEY]), 4)
  assert.equal(definitions([KEY, BRIN, OF_USER]), 2)
  assert.equal(definitions([KEY, { ...BRIN, isValid: false }]), 4)
  assert.deepEqual(
    remains({
      indexes: [
        { ...BRIN, isValid: false },
        { ...INDEX, isValid: false },
      ],
    }).length,
    1,
  )
  assert.equal(ourOtherName(BRIN), 'events_other_timestamp_idx')
  assert.equal(ourOtherName(INDEX), undefined)
})

test('names stay unique and within what PostgreSQL allows', () => {
  assert.equal(otherName('events_pkey'), 'events_other_pkey')
  assert.equal(otherName('by page'), 'events_other_by page')
  const taken = new Set<string>()
  const long = otherName('é'.repeat(31))
  const [first, second] = [uniqueName(long, taken), uniqueName(long, taken)]
  assert.notEqual(first, second)
  for (const name of [first, second]) assert.ok(Buffer.byteLength(name) <= 63, name)
})

test('the era begins at a midnight, an hour away at least, and later for a large table', () => {
  const day = Date.parse('2027-01-31T00:00:00Z')
  assert.equal(eraOf(day + 22.5 * UNIT_MS.hour, 0).fromMs, day + UNIT_MS.day)
  assert.equal(eraOf(day + 23 * UNIT_MS.hour + 1, 0).fromMs, day + 2 * UNIT_MS.day)
  assert.equal(eraOf(day, 0).fromMs, day + UNIT_MS.day)
  assert.ok(eraOf(day, 10e12).fromMs >= day + 6 * UNIT_MS.day)
  assert.equal(isStillAhead(eraOf(day, 0), day + UNIT_MS.day - 1), false)
  assert.equal(isStillAhead(eraOf(day, 0), day), true)
  assert.ok(pauseOf(0, 1) < 1 && pauseOf(1e9, 1) > 1 && pauseOf(0, 20_000) > 1)
})

test('the era is read back from its CHECK', () => {
  const era = eraOf(Date.parse('2027-01-31T12:00:00Z'), 0)
  assert.deepEqual(eraOfCheck(addNotEra('t', era)), era)
  assert.equal(eraOfCheck('CHECK (true)'), undefined)
})

test('a plain table is not refused; an index or a key that cannot be unique over partitions is', () => {
  assert.deepEqual(refusalsOf(FACTS), [])
  assert.equal(refusalsOf({ ...FACTS, indexes: [] }).length, 1)
  assert.equal(refusalsOf({ ...FACTS, indexes: [{ ...KEY, keys: ['event_id', 'user_id'] }] }).length, 1)
  assert.equal(refusalsOf({ ...FACTS, indexes: [KEY, { ...INDEX, isUnique: true }] }).length, 1)
  assert.equal(
    refusalsOf({ ...FACTS, indexes: [KEY, { ...INDEX, isUnique: true, keys: ['source', 'event_id'] }] })
      .length,
    0,
  )
})

test('the key keeps its storage parameters, also before DEFERRABLE', () => {
  const era = eraOf(0, 0)
  const pair = {
    ...INDEX,
    isUnique: true,
    constraintType: 'u',
    constraint: 'UNIQUE (event_id, user_id) DEFERRABLE',
    options: "fillfactor = '80'",
  } as const
  const statements = swapStatements({ ...FACTS, indexes: [KEY, pair] }, era, false)
  assert.ok(
    statements.includes(
      `ALTER TABLE public.events ADD CONSTRAINT mine UNIQUE (event_id, user_id) WITH (fillfactor = '80') DEFERRABLE`,
    ),
  )
  assert.ok(!statements.some((each) => each.includes('DELETE')))
  assert.ok(
    swapStatements(FACTS, era, true).some((each) => each.includes('DELETE FROM ONLY public.events_other')),
  )
})

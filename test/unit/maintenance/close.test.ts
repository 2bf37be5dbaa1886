import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isDue } from '../../../maintenance/analyze.ts'
import { type LeafCounts, workOn } from '../../../maintenance/close.ts'
import type { FoundUserIndex } from '../../../postgres/partitions/user-indexes.ts'

const NOW = 1_000
const PAST = { oid: 1, fromMs: 0, toMs: NOW }
const OPEN = { oid: 1, fromMs: 0, toMs: NOW + 1 }
const AHEAD = { oid: 1, fromMs: NOW + 1, toMs: NOW + 2 }
const CLOSED: LeafCounts = { vacuums: 1, insertedSince: 0, rows: 100 }

function index(column: string, change: Partial<FoundUserIndex> = {}): FoundUserIndex {
  return { table: 1, column, name: `${column}_idx`, isValid: true, isInherited: false, ...change }
}
const BOTH = [index('user_id'), index('anonymous_id')]

function work(
  leaf: typeof PAST,
  userIndex: 'immediate' | 'deferred',
  found: readonly FoundUserIndex[] = BOTH,
  counts: LeafCounts | undefined = CLOSED,
): { build: string[]; drop: string[]; vacuum: boolean } {
  const { build, drop, vacuum } = workOn(leaf, { found, counts, userIndex, nowMs: NOW })
  return { build: build.map(({ column }) => column), drop: drop.map(({ column }) => column), vacuum }
}

test('immediate: each leaf gets the user indexes that it lacks', () => {
  for (const leaf of [PAST, OPEN, AHEAD]) {
    assert.deepEqual(work(leaf, 'immediate', []).build, ['user_id', 'anonymous_id'])
    assert.deepEqual(work(leaf, 'immediate', [BOTH[0]!]).build, ['anonymous_id'])
    assert.deepEqual(work(leaf, 'immediate').build, [])
  }
})

test('deferred: a leaf gets them when its time is over, and one ahead is better without them', () => {
  assert.deepEqual(work(PAST, 'deferred', []).build, ['user_id', 'anonymous_id'])
  assert.deepEqual(work(OPEN, 'deferred', []).build, [])
  assert.deepEqual(work(AHEAD, 'deferred').drop, ['user_id', 'anonymous_id'])
  assert.deepEqual(work(OPEN, 'deferred').drop, [])
  assert.deepEqual(work(AHEAD, 'immediate').drop, [])
})

test('an index of another leaf, or one that is not valid, is none; a part of an index of the root stays', () => {
  assert.deepEqual(work(PAST, 'deferred', [index('user_id', { table: 2 }), BOTH[1]!]).build, ['user_id'])
  assert.deepEqual(work(PAST, 'deferred', [index('user_id', { isValid: false }), BOTH[1]!]).build, [
    'user_id',
  ])
  assert.deepEqual(work(AHEAD, 'deferred', [index('user_id', { isInherited: true })]).drop, [])
})

test('a leaf is vacuumed when its time is over, and again when more than a tenth of its rows are new', () => {
  const isVacuumed = (leaf: typeof PAST, counts: LeafCounts | undefined): boolean =>
    work(leaf, 'immediate', BOTH, counts).vacuum
  assert.equal(isVacuumed(PAST, { ...CLOSED, vacuums: 0 }), true)
  assert.equal(isVacuumed(OPEN, { ...CLOSED, vacuums: 0 }), false)
  assert.equal(isVacuumed(PAST, CLOSED), false)
  assert.equal(isVacuumed(PAST, { ...CLOSED, insertedSince: 10 }), false)
  assert.equal(isVacuumed(PAST, { ...CLOSED, insertedSince: 11 }), true)
  assert.equal(workOn(PAST, { found: [], counts: undefined, userIndex: 'deferred', nowMs: NOW }).vacuum, true)
})

test('statistics of the whole tree are renewed after a day, or an hour if it has doubled', () => {
  const facts = { ageHours: 2, counted: 100, rows: 150 }
  assert.equal(isDue(facts), false)
  assert.equal(isDue({ ...facts, ageHours: 24 }), true)
  assert.equal(isDue({ ...facts, ageHours: null }), true)
  assert.equal(isDue({ ...facts, rows: 201 }), true)
  assert.equal(isDue({ ...facts, rows: 201, ageHours: 0.9 }), false)
  assert.equal(isDue({ ageHours: null, counted: 0, rows: 0 }), false)
})

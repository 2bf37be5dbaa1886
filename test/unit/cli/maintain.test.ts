import assert from 'node:assert/strict'
import { test } from 'node:test'
import { closingLines, exitCodeOf } from '../../../cli/maintain.ts'
import { progressLine } from '../../../cli/maintain-progress.ts'
import type { Action } from '../../../maintenance/maintenance.ts'

const made: Action = { step: 'ahead', kind: 'made', count: 1, text: 'events_20270131 was made.' }
const problem: Action = { step: 'retain', kind: 'problem', count: 0, text: 'It stays.' }
const tree = { outcome: 'done', leaves: 1, ahead: 14, layout: 'tree', refusesSinks: false } as const

test('the last sentences of a run, and its exit code', () => {
  assert.deepEqual(closingLines({ ...tree, actions: [] }, false), ['Nothing to do.'])
  assert.deepEqual(closingLines({ ...tree, actions: [] }, true), ['Nothing to do.'])
  assert.deepEqual(closingLines({ ...tree, actions: [made] }, false), [])
  assert.deepEqual(closingLines({ ...tree, actions: [made] }, true), ['Nothing was changed (--dry-run).'])
  assert.deepEqual(closingLines({ ...tree, outcome: 'busy', actions: [] }, false), [])
  assert.deepEqual(
    [[], [made], [made, problem]].map((actions) => exitCodeOf({ outcome: 'done', actions })),
    [0, 0, 1],
  )
  assert.equal(exitCodeOf({ outcome: 'busy', actions: [] }), 1)
})

test('progress says what PostgreSQL is at, if it is a long statement', () => {
  assert.equal(progressLine(undefined, 12_300), 'working for 12 s')
  const vacuum = {
    kind: 'vacuum',
    table: 'events_20270131',
    phase: 'scanning heap',
    done: 1,
    total: 3,
  } as const
  assert.equal(
    progressLine(vacuum, 60_000),
    'VACUUM of events_20270131: scanning heap, 33% (working for 60 s)',
  )
  assert.equal(
    progressLine({ ...vacuum, kind: 'index', phase: 'initializing', total: 0 }, 2_000),
    'index of events_20270131: initializing (working for 2 s)',
  )
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { judgeOutage, verdictLine } from '../../../../tools/demo/outage-verdict.ts'
import { emptyVerdict } from '../../../../tools/verify/verdict.ts'

const found = { ...emptyVerdict(), ok: true, acked: 5000, acked_stored: 5000, records: 5000, stored: 5000 }
const rows = { all: 5000, distinct: 5000 }

test('the verdict is good if every acknowledged event is stored once', () => {
  const verdict = judgeOutage(found, rows, 5000)
  assert.deepEqual([verdict.ok, verdict.problems], [true, []])
  assert.equal(verdictLine(verdict), '5,000 acknowledged, 5,000 stored, 0 lost, 0 twice')
})

test('events that were stored but never acknowledged are not a problem', () => {
  const more = { ...found, records: 5003, stored: 5003 }
  assert.equal(judgeOutage(more, { all: 5003, distinct: 5003 }, 5000).ok, true)
})

test('an acknowledged event without its row is lost, wherever else it may be', () => {
  const missing = { ...found, ok: false, acked_stored: 4990, acked_missing_count: 9, acked_dead: 1 }
  const verdict = judgeOutage(missing, rows, 5000)
  assert.deepEqual([verdict.ok, verdict.lost], [false, 10])
  assert.equal(verdictLine(verdict), '5,000 acknowledged, 4,990 stored, 10 lost, 0 twice')
})

test('rows in excess of one per id count as stored twice', () => {
  const verdict = judgeOutage(found, { all: 5002, distinct: 5000 }, 5000)
  assert.deepEqual([verdict.ok, verdict.twice], [false, 2])
})

const wrongs: [string, Parameters<typeof judgeOutage>][] = [
  ['an ack file without all events that the load counted', [found, rows, 5001]],
  ['nothing acknowledged', [{ ...found, acked: 0, acked_stored: 0 }, rows, 0]],
  ['records that are not stored yet', [{ ...found, not_yet_read: 1 }, rows, 5000]],
  ['rows that no record explains', [found, { all: 5001, distinct: 5001 }, 5000]],
  ['dead letters', [{ ...found, dead: 1 }, rows, 5000]],
  [
    'other problems found by the comparison',
    [{ ...found, ok: false, problems: ['no unique index'] }, rows, 5000],
  ],
]
for (const [name, args] of wrongs) {
  test(`the verdict is bad, with a sentence: ${name}`, () => {
    const verdict = judgeOutage(...args)
    assert.equal(verdict.ok, false)
    assert.equal(verdict.problems.length, 1)
  })
}

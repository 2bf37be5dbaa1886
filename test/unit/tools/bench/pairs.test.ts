import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inTurns, quartiles, ratios } from '../../../../tools/bench/pairs.ts'

test('quartiles are interpolated from the sorted values', () => {
  assert.deepEqual(quartiles([5, 1, 4, 2, 3]), { q1: 2, median: 3, q3: 4 })
  assert.deepEqual(quartiles([4, 1]), { q1: 1.75, median: 2.5, q3: 3.25 })
  assert.deepEqual(quartiles([7]), { q1: 7, median: 7, q3: 7 })
})

test('variants take turns, every other round in reverse order, and each keeps its own results', async () => {
  const order: string[] = []
  const run = (name: string) => async () => {
    order.push(name)
    return order.length
  }
  const seen: string[] = []
  const results = await inTurns(3, { baseline: run('baseline'), ours: run('ours') }, (name, round, result) =>
    seen.push(`${round} ${name} ${result}`),
  )
  assert.deepEqual(order, ['baseline', 'ours', 'ours', 'baseline', 'baseline', 'ours'])
  assert.deepEqual(results, { baseline: [1, 4, 5], ours: [2, 3, 6] })
  assert.equal(seen[2], '2 ours 3')
})

test('ratios are computed round by round', () => {
  assert.deepEqual(ratios([2, 9], [1, 3]), [2, 3])
})

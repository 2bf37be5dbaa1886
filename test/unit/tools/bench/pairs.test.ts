import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inTurns, meanRatio, quartiles, ratios } from '../../../../tools/bench/pairs.ts'

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

test('the mean of ratios has the 95 % interval of Student for their logarithms', () => {
  const same = meanRatio([2, 0.5, 2, 0.5])
  assert.ok(Math.abs(same.mean - 1) < 1e-12)
  // t(0.975, 3) = 3.1824; the standard deviation of +-ln 2 is ln 2 * sqrt(4/3).
  const half = 3.1824 * Math.log(2) * Math.sqrt(4 / 3 / 4)
  assert.ok(Math.abs(Math.log(same.high) / half - 1) < 0.01)
  assert.ok(Math.abs(Math.log(same.low) / half + 1) < 0.01)
  // t(0.975, 15) = 2.1314
  const many = meanRatio(Array.from({ length: 16 }, (_, n) => (n % 2 === 0 ? 1.1 : 1 / 1.1)))
  const halfOfMany = 2.1314 * Math.log(1.1) * Math.sqrt(16 / 15 / 16)
  assert.ok(Math.abs(Math.log(many.high) / halfOfMany - 1) < 0.001)
})

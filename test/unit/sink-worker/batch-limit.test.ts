import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { limitAfterStored, limitAfterTimeout, NO_LIMIT } from '../../../sink-worker/batch-limit.ts'

/** Stores a backlog of rows that take so long each, and gives up a transaction after the timeout, as the sink does. */
function drain(rows: number, msPerRow: number, timeoutMs: number): { sizes: number[]; timeouts: number } {
  const sizes: number[] = []
  let [left, limit, timeouts] = [rows, NO_LIMIT, 0]
  while (left > 0) {
    const size = Math.min(left, limit)
    const durationMs = size * msPerRow
    if (durationMs > timeoutMs) {
      limit = limitAfterTimeout(limit, size)
      timeouts += 1
    } else {
      limit = limitAfterStored(limit, size, durationMs, timeoutMs)
      sizes.push(size)
      left -= size
    }
    assert.ok(timeouts <= 40, `a limit of ${limit} is given up again and again`)
  }
  return { sizes, timeouts }
}

test('property: whatever a row takes, if one alone is stored in time, all are, and the timeouts come to an end', () => {
  const rows = fc.integer({ min: 1, max: 5_000 })
  fc.assert(
    fc.property(rows, fc.double({ min: 0.001, max: 1_000, noNaN: true }), (count, msPerRow) => {
      const { sizes, timeouts } = drain(count, msPerRow, 1_000)
      assert.equal(
        sizes.reduce((sum, size) => sum + size, 0),
        count,
      )
      assert.ok(timeouts <= Math.ceil(Math.log2(count)) + 1)
      if (timeouts > 0) assert.ok((sizes[0] ?? 0) * msPerRow > 250, 'no smaller than need be')
    }),
  )
})

test('a limit grows back only by full and quick transactions, until there is none', () => {
  assert.equal(limitAfterStored(100, 99, 1, 1_000), 100)
  assert.equal(limitAfterStored(100, 100, 251, 1_000), 100)
  assert.equal(limitAfterStored(100, 100, 250, 1_000), 200)
  assert.equal(limitAfterStored(NO_LIMIT, 100, 1, 1_000), NO_LIMIT)
  let limit = 1
  for (let full = 0; limit !== NO_LIMIT; full += 1) {
    assert.ok(full <= 21)
    limit = limitAfterStored(limit, limit, 1, 1_000)
  }
})

test('a timeout halves what was too much, down to one record', () => {
  assert.equal(limitAfterTimeout(NO_LIMIT, 1_001), 500)
  assert.equal(limitAfterTimeout(200, 100), 50)
  assert.equal(limitAfterTimeout(1, 1), 1)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { limitAfterStored, limitAfterTimeout, NO_LIMIT } from '../../../../sink-worker/store/batch-limit.ts'

const SILENCE_MS = 1_000

/**
 * Stores a backlog of rows that each take this long. The server cancels a COPY after the timeout; a transaction also has
 * other statements.
 */
function drain(
  rows: number,
  msPerRow: number,
  timeoutMs: number,
  othersMs: number,
): { sizes: number[]; timeouts: number } {
  const sizes: number[] = []
  let limit = NO_LIMIT
  let [left, timeouts] = [rows, 0]
  while (left > 0) {
    const size = Math.min(left, limit.records)
    const copyMs = size * msPerRow
    if (copyMs > timeoutMs) {
      limit = limitAfterTimeout(limit, size, timeoutMs + othersMs / 2)
      timeouts += 1
    } else {
      limit = limitAfterStored(limit, size, copyMs + othersMs, SILENCE_MS)
      sizes.push(size)
      left -= size
    }
    assert.ok(timeouts <= 40, `a limit of ${limit.records} is given up again and again`)
  }
  return { sizes, timeouts }
}

test('property: if a single row can be stored in time, all rows are, with few timeouts', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5_000 }),
      fc.integer({ min: 1, max: SILENCE_MS }),
      fc.double({ min: 0.000_1, max: 1, noNaN: true }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (count, timeoutMs, share, others) => {
        const msPerRow = share * timeoutMs
        const { sizes, timeouts } = drain(count, msPerRow, timeoutMs, others * timeoutMs)
        assert.equal(
          sizes.reduce((sum, size) => sum + size, 0),
          count,
        )
        assert.ok(timeouts <= Math.ceil(Math.log2(count)) + 1, `${timeouts} timeouts`)
        if (timeouts > 0) assert.ok((sizes[0] ?? 0) * msPerRow > timeoutMs / 4, 'no smaller than necessary')
      },
    ),
  )
})

const limitOf = (records: number, patienceMs = SILENCE_MS): typeof NO_LIMIT => ({ records, patienceMs })

test('a limit grows only after full and fast transactions, until there is none', () => {
  assert.equal(limitAfterStored(limitOf(100), 99, 1, SILENCE_MS).records, 100)
  assert.equal(limitAfterStored(limitOf(100), 100, 251, SILENCE_MS).records, 100)
  assert.equal(limitAfterStored(limitOf(100), 100, 250, SILENCE_MS).records, 200)
  assert.deepEqual(limitAfterStored(NO_LIMIT, 100, 1, SILENCE_MS), NO_LIMIT)
  let limit = limitOf(1, 8)
  for (let full = 0; limit !== NO_LIMIT; full += 1) {
    assert.ok(full <= 21)
    limit = limitAfterStored(limit, limit.records, 1, SILENCE_MS)
  }
})

test('a timeout halves the limit, down to one record', () => {
  assert.equal(limitAfterTimeout(NO_LIMIT, 1_001, 9).records, 500)
  assert.equal(limitAfterTimeout(limitOf(200), 100, 9).records, 50)
  assert.equal(limitAfterTimeout(limitOf(1), 1, 9).records, 1)
})

test('a transaction cancelled manually after a moment does not keep later ones small', () => {
  const cancelled = limitAfterTimeout(NO_LIMIT, 1_000, 3)
  assert.deepEqual(cancelled, limitOf(500, 3))
  assert.equal(limitAfterStored(cancelled, 500, 2, SILENCE_MS).records, 500)
  assert.equal(limitAfterStored(cancelled, 500, 40, SILENCE_MS).records, 1_000)
})

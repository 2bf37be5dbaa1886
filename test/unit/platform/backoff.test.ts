import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { backoffMs } from '../../../platform/backoff.ts'

const DELAY = { firstMs: 100, lastMs: 5_000 }
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })

test('property: a delay is between half and all of 100 ms, doubled with each attempt, at most 5 s', () => {
  fc.assert(
    fc.property(fc.nat({ max: 100_000 }), random, (attempts, r) => {
      const whole = Math.min(5_000, 100 * 2 ** Math.min(attempts, 20))
      const delay = backoffMs(DELAY, attempts, r)
      assert.ok(delay >= whole / 2 && delay <= whole, `${delay}`)
      assert.ok(backoffMs(DELAY, attempts + 1, r) >= delay, 'it never gets shorter')
    }),
  )
  assert.equal(backoffMs(DELAY, 0, 0), 50, 'never a busy loop')
  assert.equal(backoffMs(DELAY, 0, 0.5), 75)
  assert.equal(backoffMs(DELAY, Number.MAX_SAFE_INTEGER, 0.999), 4_997.5)
})

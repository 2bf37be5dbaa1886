import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { rateOf, tatAfter, tatAtRate, waitMs } from '../../../../../producer-api/front-door/limits/gcra.ts'

/** More than rounding adds up to in these tests, in milliseconds. */
const EPSILON_MS = 0.002

/** The clock of a process that has just started, or of one that runs for months. */
const startMs = fc.oneof(fc.constant(0), fc.double({ min: 0, max: 1e10, noNaN: true }))
const perSecond = fc.oneof(
  fc.integer({ min: 1, max: 100_000 }),
  fc.double({ min: 0.01, max: 100_000, noNaN: true }),
)

/** A rate, and takes: `n`, and when after the one before, in intervals of the rate. */
const scenarios = fc.integer({ min: 1, max: 40 }).chain((burst) =>
  fc.record({
    rate: perSecond.map((rate) => rateOf(rate, burst)),
    start: startMs,
    takes: fc.array(
      fc.record({
        n: fc.integer({ min: 1, max: burst }),
        after: fc.oneof(fc.constant(0), fc.nat(3), fc.double({ min: 0, max: 2 * burst, noNaN: true })),
      }),
      { minLength: 1, maxLength: 60 },
    ),
  }),
)

test('property: a take waits exactly until no window holds more than burst + rate * time', () => {
  fc.assert(
    fc.property(scenarios, ({ rate, start, takes }) => {
      let tatMs = 0
      let nowMs = start
      const admitted: { atMs: number; n: number }[] = []
      for (const { n, after } of takes) {
        nowMs += after * rate.intervalMs
        // The most that is over in any window that ends now: it begins with one of the takes before, or is empty.
        let sum = n
        let over = n - rate.burst
        for (const before of admitted.toReversed()) {
          sum += before.n
          over = Math.max(over, sum - rate.burst - (nowMs - before.atMs) / rate.intervalMs)
        }
        const wait = waitMs(tatMs, nowMs, n, rate)
        const expected = Math.max(0, over * rate.intervalMs)
        assert.ok(Math.abs(wait - expected) <= EPSILON_MS, `${wait} ms, expected ${expected}`)
        if (wait > 0) continue
        tatMs = tatAfter(tatMs, nowMs, n, rate)
        admitted.push({ atMs: nowMs, n })
      }
    }),
    { numRuns: 2_000 },
  )
})

test('property: after the wait a take is admitted, just before it is not', () => {
  fc.assert(
    fc.property(scenarios, ({ rate, start, takes }) => {
      let tatMs = 0
      let nowMs = start
      for (const { n, after } of takes) {
        nowMs += after * rate.intervalMs
        const wait = waitMs(tatMs, nowMs, n, rate)
        if (wait > 2 * EPSILON_MS) assert.ok(waitMs(tatMs, nowMs + wait - EPSILON_MS, n, rate) > 0)
        nowMs += wait
        assert.equal(waitMs(tatMs, nowMs, n, rate), 0)
        tatMs = tatAfter(tatMs, nowMs, n, rate)
      }
    }),
    { numRuns: 2_000 },
  )
})

test('property: a bucket that was not used, or not for long enough, takes its whole burst at once', () => {
  const burst = fc.integer({ min: 1_000, max: 1_000_000 })
  fc.assert(
    fc.property(perSecond, burst, startMs, fc.integer({ min: 1, max: 1_000 }), (second, size, now, n) => {
      const rate = rateOf(second, size)
      for (const taken of [n, size]) {
        assert.equal(waitMs(0, now, taken, rate), 0)
        const tatMs = tatAfter(0, now, taken, rate)
        assert.equal(waitMs(tatMs, tatMs, size, rate), 0)
      }
      const full = tatAfter(0, now, size, rate)
      assert.ok(waitMs(full, now, 1, rate) > 0, 'and not one more')
    }),
  )
})

test('who asks for ten times the rate gets the rate', () => {
  const SECONDS = 60
  for (const second of [1, 7, 300]) {
    const rate = rateOf(second, 10)
    let tatMs = 0
    let admitted = 0
    for (let i = 0; i <= SECONDS * second * 10; i++) {
      const nowMs = 5 + (i * rate.intervalMs) / 10
      if (waitMs(tatMs, nowMs, 1, rate) > 0) continue
      tatMs = tatAfter(tatMs, nowMs, 1, rate)
      admitted++
    }
    assert.ok(Math.abs(admitted - (10 + SECONDS * second)) <= 1, `${admitted} at ${second} per second`)
  }
})

test('a changed rate applies at once, and what was taken stays taken', () => {
  const slow = rateOf(1, 1_000)
  const fast = rateOf(1_000, 1_000)
  const emptied = tatAfter(0, 5, 1_000, slow)
  assert.equal(waitMs(emptied, 5, 1, slow), 1_000)
  assert.equal(waitMs(tatAtRate(emptied, 5, slow, fast), 5, 1, fast), 1)
  assert.equal(waitMs(tatAtRate(emptied, 5, slow, fast), 5, 500, fast), 500)
  // Back to the slow one: empty, as it was.
  const again = tatAtRate(tatAtRate(emptied, 5, slow, fast), 5, fast, slow)
  assert.equal(waitMs(again, 5, 1, slow), 1_000)
  // Half of the larger burst was taken; of the smaller one, all.
  const large = rateOf(1, 2_000)
  assert.equal(waitMs(tatAtRate(emptied, 5, slow, large), 5, 1_000, large), 0)
  const small = rateOf(1, 100)
  assert.equal(waitMs(tatAtRate(emptied, 5, slow, small), 5, 1, small), 1_000)
  // A full bucket stays full.
  assert.equal(waitMs(tatAtRate(0, 5, slow, fast), 5, 1_000, fast), 0)
})

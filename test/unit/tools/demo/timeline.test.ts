import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  isCaughtUp,
  nextPoint,
  type Observation,
  percentile,
  summarize,
  type Timeline,
} from '../../../../tools/demo/timeline.ts'
import { outage } from '../../../support/outages.ts'

const seen: Observation = {
  atS: 2,
  sent: 2000,
  acked: 1990,
  failed: 4,
  latenciesMs: [],
  stored: 1500,
  lag: 490,
}

test('a point has the rates since the previous observation, over the time that actually passed', () => {
  const now = { ...seen, atS: 4, sent: 4000, acked: 3990, stored: 1700, latenciesMs: [3, 1, 2] }
  const point = nextPoint(seen, now)
  assert.deepEqual(point, {
    ...now,
    fromS: 2,
    requestsPerS: 1000,
    ackedPerS: 1000,
    storedPerS: 100,
    p99Ms: 3,
  })
})

test('the first point counts from zero', () => {
  const { fromS, requestsPerS, storedPerS } = nextPoint(undefined, seen)
  assert.deepEqual([fromS, requestsPerS, storedPerS], [0, 1000, 750])
})

test('the rate is unknown if a sink did not answer or was restarted', () => {
  const silent = { ...seen, atS: 3, stored: undefined }
  assert.equal(nextPoint(seen, silent).storedPerS, undefined)
  assert.equal(nextPoint(silent, { ...seen, atS: 4 }).storedPerS, undefined)
  assert.equal(nextPoint(seen, { ...seen, atS: 3, stored: 10 }).storedPerS, undefined)
})

test('percentile uses the nearest rank', () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ noNaN: true }), { minLength: 1 }),
      fc.integer({ min: 1, max: 100 }),
      (values, percent) => {
        const found = percentile(values, percent) ?? Number.NaN
        assert.ok(values.includes(found))
        assert.ok(values.filter((value) => value <= found).length >= (values.length * percent) / 100)
        assert.ok(values.filter((value) => value < found).length < (values.length * percent) / 100)
      },
    ),
  )
  assert.equal(percentile([], 99), undefined)
})

test('caught up means less than a second behind, observed after the database came back', () => {
  const at = (timeline: Timeline, seconds: number) =>
    isCaughtUp({ ...timeline, points: timeline.points.filter(({ atS }) => atS <= seconds) }, 1000)
  const timeline = outage()
  assert.equal(at(timeline, 12), false)
  assert.equal(at(timeline, 13), true)
  assert.equal(isCaughtUp({ points: timeline.points, moments: { stoppedS: 5 } }, 1000), false)
})

test('a sink that was further behind before the outage need not be closer afterwards', () => {
  const timeline = outage()
  const points = timeline.points.map((point) => ({ ...point, lag: (point.lag ?? 0) + 3000 }))
  assert.equal(isCaughtUp({ ...timeline, points }, 1000), true)
})

test('a summary has the latencies of each phase, the largest lag and the drain', () => {
  assert.deepEqual(summarize(outage(), 2), {
    warmUpS: 2,
    outageS: 5,
    p99Ms: { before: 5, during: 10, after: 20 },
    ackedPerSDuring: 1000,
    storedPerSDuring: 0,
    largestLag: 6000,
    drainS: 3,
    drainedPerS: (13_000 - 5000) / 3,
  })
})

test('the warm-up is not part of "before", and seconds at the edges are part of the outage', () => {
  const { points, moments } = outage()
  const slowEdge = points.map((point) => (point.atS === 5 ? { ...point, latenciesMs: [500] } : point))
  const timeline = { points: slowEdge, moments: { ...moments, stoppedS: 4.5, startedS: 10.5 } }
  assert.deepEqual(summarize(timeline, 4).p99Ms, { before: undefined, during: 500, after: 20 })
})

test('an outage that was not observed to its end has no length and no drain', () => {
  const { outageS, drainS, drainedPerS } = summarize({ ...outage(), moments: { stoppedS: 5 } }, 0)
  assert.deepEqual([outageS, drainS, drainedPerS], [undefined, undefined, undefined])
})

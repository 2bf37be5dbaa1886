import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { countAhead, joined, missingRanges } from '../../../maintenance/missing-ranges.ts'
import {
  eraFrom,
  PARTITION_UNITS,
  type PartitionUnit,
  type Range,
  RANGES_AHEAD,
  rangeAt,
  rangesAhead,
  UNIT_MS,
} from '../../../postgres/partitions/ranges.ts'

const INSTALLED = Date.UTC(2027, 0, 31, 13, 45)
const HOUR = UNIT_MS.hour
const DAY = UNIT_MS.day
const era = eraFrom(INSTALLED - DAY)

function inOrder(ranges: readonly Range[]): Range[] {
  return ranges.toSorted((a, b) => a.fromMs - b.fromMs)
}

/** The leaves of an installation that maintenance looked after at these moments. */
function leavesAfter(visits: readonly { unit: PartitionUnit; nowMs: number }[]): Range[] {
  let leaves: Range[] = [rangeAt('day', INSTALLED - DAY), rangeAt('day', INSTALLED)]
  for (const { unit, nowMs } of visits)
    leaves = inOrder([...leaves, ...missingRanges(unit, { leaves, era, nowMs })])
  return leaves
}

const visits = fc
  .array(fc.record({ unit: fc.constantFrom(...PARTITION_UNITS), afterHours: fc.nat({ max: 24 * 30 }) }), {
    minLength: 1,
    maxLength: 8,
  })
  .map((list) => {
    let nowMs = INSTALLED
    return list.map(({ unit, afterHours }) => ({ unit, nowMs: (nowMs += afterHours * HOUR) }))
  })

test('after each visit, whatever the unit was before, leaves follow each other without gap or overlap to those ahead', () => {
  fc.assert(
    fc.property(visits, (list) => {
      const leaves = leavesAfter(list)
      const { unit, nowMs } = list.at(-1)!
      assert.deepEqual(joined(leaves), [{ fromMs: leaves[0]!.fromMs, toMs: leaves.at(-1)!.toMs }])
      assert.ok(leaves.at(-1)!.toMs >= rangesAhead(unit, nowMs).at(-1)!.toMs)
      assert.ok(countAhead(unit, { leaves, nowMs }) >= RANGES_AHEAD[unit])
      assert.deepEqual(missingRanges(unit, { leaves, era, nowMs }), [])
    }),
  )
})

test('every moment from the oldest leaf to those ahead is in exactly one leaf', () => {
  fc.assert(
    fc.property(visits, fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), (list, share) => {
      const leaves = leavesAfter(list)
      const { fromMs } = leaves[0]!
      const ms = fromMs + Math.floor(share * (leaves.at(-1)!.toMs - fromMs))
      assert.equal(leaves.filter((leaf) => leaf.fromMs <= ms && ms < leaf.toMs).length, 1)
    }),
  )
})

test('after 20 days without maintenance the days in between are missing, too', () => {
  const leaves = leavesAfter([{ unit: 'day', nowMs: INSTALLED }])
  const missing = missingRanges('day', { leaves, era, nowMs: INSTALLED + 20 * DAY })
  assert.equal(missing.length, 20)
  assert.equal(missing[0]?.fromMs, leaves.at(-1)?.toMs)
})

test('a gap between leaves is missing; nothing before the oldest one is', () => {
  const leaves = [0, 1, 3].map((n) => rangeAt('day', INSTALLED + n * DAY))
  const missing = missingRanges('day', { leaves, era, nowMs: INSTALLED + 3 * DAY })
  assert.deepEqual(missing[0], rangeAt('day', INSTALLED + 2 * DAY))
  assert.equal(missing.length, 1 + RANGES_AHEAD.day)
})

test('from hours to days: the rest of a day that has leaves of hours gets leaves of hours', () => {
  const leaves = leavesAfter([{ unit: 'hour', nowMs: INSTALLED + 20 * DAY }])
  const missing = missingRanges('day', { leaves, era, nowMs: INSTALLED + 20 * DAY })
  const hours = missing.filter(({ fromMs, toMs }) => toMs - fromMs === HOUR)
  assert.equal(hours[0]?.fromMs, leaves.at(-1)?.toMs)
  assert.equal(hours.length, 24 - 14)
  assert.equal(missing.length - hours.length, RANGES_AHEAD.day - 2)
})

test('nothing is made that retention would drop', () => {
  const leaves = [rangeAt('day', INSTALLED)]
  const nowMs = INSTALLED + 50 * DAY
  const keptFromMs = nowMs - 30 * DAY
  const missing = missingRanges('day', { leaves, era, nowMs, keptFromMs })
  assert.deepEqual(missing[0], rangeAt('day', keptFromMs))
  assert.equal(
    missingRanges('day', { leaves, era, nowMs, keptFromMs: rangeAt('day', keptFromMs).fromMs })[0]?.toMs,
    rangeAt('day', keptFromMs).toMs,
  )
  const noonMs = rangeAt('day', INSTALLED).fromMs + 12 * HOUR
  const [first] = missingRanges('day', {
    leaves: [rangeAt('hour', noonMs)],
    era,
    nowMs: noonMs + DAY,
    keptFromMs: noonMs + 2 * HOUR,
  })
  assert.deepEqual(first, rangeAt('hour', noonMs + 2 * HOUR), 'of a day that has leaves of hours')
})

test('nothing is made outside the era: before it, at its end and after it', () => {
  const at = (nowMs: number): Range[] => missingRanges('day', { leaves: [], era, nowMs })
  assert.deepEqual(at(era.fromMs - 3 * DAY)[0], rangeAt('day', era.fromMs))
  assert.equal(at(era.toMs - 3 * DAY).length, 3)
  assert.equal(at(era.toMs - 3 * DAY).at(-1)?.toMs, era.toMs)
  assert.deepEqual(at(era.toMs + 3 * DAY), [])
})

test('the ranges ahead are counted up to the first gap', () => {
  const leaves = [0, 1, 2, 4].map((n) => rangeAt('day', INSTALLED + n * DAY))
  assert.equal(countAhead('day', { leaves, nowMs: INSTALLED }), 2)
  assert.equal(countAhead('hour', { leaves, nowMs: INSTALLED }), 10 + 48)
  assert.equal(countAhead('day', { leaves: [], nowMs: INSTALLED }), 0)
})

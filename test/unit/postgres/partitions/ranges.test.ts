import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import {
  eraFrom,
  firstIdAt,
  momentOfId,
  PARTITION_UNITS,
  partitionName,
  RANGES_AHEAD,
  rangeAt,
  rangesAhead,
  UNIT_MS,
} from '../../../../postgres/partitions/ranges.ts'

/** A moment that a UUIDv7 can have and a Date can show, leap days included. */
const moments = fc.oneof(
  fc.integer({ min: 0, max: Date.UTC(9999, 11, 31) }),
  fc.constantFrom(Date.UTC(2028, 1, 29), Date.UTC(2027, 2, 28, 1, 30), Date.UTC(2027, 9, 31, 0, 59, 59, 999)),
)
const units = fc.constantFrom(...PARTITION_UNITS)
/** The rest of an id, after its first 48 bits. */
const rests = fc.stringMatching(/^[0-9a-f]{20}$/)

/** An id of any version that begins with the moment. */
function idOf(ms: number, rest: string): string {
  const hex = ms.toString(16).padStart(12, '0') + rest
  return [0, 8, 12, 16, 20].map((from, n) => hex.slice(from, [8, 12, 16, 20, 32][n])).join('-')
}

test('an id is within the bounds of the range of its moment, and of no other', () => {
  fc.assert(
    fc.property(units, moments, rests, fc.integer({ min: -400, max: 400 }), (unit, ms, rest, steps) => {
      const id = idOf(ms, rest)
      const isIn = ({ fromMs, toMs }: { fromMs: number; toMs: number }): boolean =>
        firstIdAt(fromMs) <= id && id < firstIdAt(toMs)
      assert.equal(momentOfId(id), ms)
      assert.ok(isIn(rangeAt(unit, ms)))
      const other = ms + steps * UNIT_MS[unit]
      if (steps !== 0 && other >= 0) assert.ok(!isIn(rangeAt(unit, other)))
    }),
  )
})

test('each range has the length of its unit, whatever day it is, and the next one begins where it ends', () => {
  fc.assert(
    fc.property(units, moments, (unit, ms) => {
      const range = rangeAt(unit, ms)
      assert.ok(range.fromMs <= ms && ms < range.toMs)
      assert.equal(range.toMs - range.fromMs, UNIT_MS[unit])
      assert.equal(rangeAt(unit, range.toMs).fromMs, range.toMs)
    }),
  )
})

test('each range has a name of its own, from which it can be read', () => {
  fc.assert(
    fc.property(units, moments, (unit, ms) => {
      const range = rangeAt(unit, ms)
      const [, year, month, day, hour = '00'] =
        /^events_(\d{4})(\d\d)(\d\d)(\d\d)?$/.exec(partitionName(range)) ?? []
      assert.equal(Date.parse(`${year}-${month}-${day}T${hour}:00Z`), range.fromMs)
      assert.equal(partitionName(range).length, unit === 'day' ? 15 : 17)
    }),
  )
  assert.equal(partitionName(rangeAt('day', Date.UTC(2028, 1, 29, 12))), 'events_20280229')
  assert.equal(partitionName(rangeAt('hour', Date.UTC(2027, 0, 31, 23, 59))), 'events_2027013123')
})

test('the ranges ahead are in order and without a gap, and begin with the current one', () => {
  fc.assert(
    fc.property(units, moments, (unit, ms) => {
      const ranges = rangesAhead(unit, ms)
      assert.deepEqual(ranges[0], rangeAt(unit, ms))
      assert.equal(ranges.length, 1 + RANGES_AHEAD[unit])
      for (const [n, { fromMs }] of ranges.entries()) if (n > 0) assert.equal(fromMs, ranges[n - 1]?.toMs)
    }),
  )
})

test('the era begins with its day and ends 20 years later, also on a leap day', () => {
  assert.deepEqual(eraFrom(Date.UTC(2027, 0, 31, 13)), {
    fromMs: Date.UTC(2027, 0, 31),
    toMs: Date.UTC(2047, 0, 31),
  })
  assert.deepEqual(eraFrom(Date.UTC(2028, 1, 29)), {
    fromMs: Date.UTC(2028, 1, 29),
    toMs: Date.UTC(2048, 1, 29),
  })
})

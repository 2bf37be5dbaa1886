import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isOneOf, lookupsOf } from '../../../../postgres/partitions/id-lookup.ts'
import { firstIdAt, momentOfId } from '../../../../postgres/partitions/ranges.ts'

const HOUR_MS = 3_600_000
const NOW = Date.parse('2027-01-31T12:00:00Z')
/** The smallest and the largest UUIDv7 that begin with the moment. */
const idsAt = (ms: number): [string, string] => [
  `${firstIdAt(ms).slice(0, 14)}7000-8000-000000000000`,
  `${firstIdAt(ms).slice(0, 14)}7fff-bfff-ffffffffffff`,
]

test('ids of one time are one span, which one statement looks up', () => {
  const ids = [...idsAt(NOW + 1), ...idsAt(NOW)]
  const values: unknown[] = ['another']
  const [lookup = [], ...others] = lookupsOf(ids)
  assert.deepEqual(others, [])
  assert.equal(
    isOneOf(lookup, values),
    'event_id = ANY((SELECT $2::uuid[])::uuid[]) AND (event_id BETWEEN $3 AND $4)',
  )
  assert.deepEqual(values, ['another', `{${ids.join(',')}}`, ids[2], ids[1]])
})

test('ids of no time are two spans: before and after those of the years 2004 to 2109', () => {
  const nil = '00000000-0000-0000-0000-000000000000'
  const others = ['04000000-0000-4000-8000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff']
  const [lookup] = lookupsOf([...others, idsAt(NOW)[0], nil])
  const spans = lookup?.map(({ low, high }) => [low, high])
  assert.deepEqual(spans, [[nil, nil], [idsAt(NOW)[0], idsAt(NOW)[0]], others])
})

test('no ids need no lookup', () => {
  assert.deepEqual(lookupsOf([]), [])
})

test('whatever the ids, each is in one lookup, within one of its spans; no span of times is longer than 5 hours', () => {
  const timed = fc
    .tuple(
      fc.oneof(fc.integer({ min: 0, max: 4e12 }), fc.integer({ min: NOW, max: NOW + 240 * HOUR_MS })),
      fc.boolean(),
    )
    .map(([ms, isLast]) => idsAt(ms)[Number(isLast)]!)
  fc.assert(
    fc.property(fc.uniqueArray(fc.oneof(fc.uuid(), timed), { maxLength: 500 }), (ids) => {
      const lookups = lookupsOf(ids)
      assert.deepEqual(
        lookups.flatMap((spans) => spans.flatMap((span) => span.ids)).toSorted(),
        ids.toSorted(),
      )
      for (const spans of lookups) {
        assert.ok(spans.length <= 64)
        for (const { low, high, ids: own } of spans) {
          assert.ok(own.every((id) => low <= id && id <= high))
          if (low >= '01' && low < '04') assert.ok(momentOfId(high) - momentOfId(low) < 5 * HOUR_MS)
        }
      }
    }),
  )
})

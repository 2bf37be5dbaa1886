import assert from 'node:assert/strict'
import { test } from 'node:test'
import { staysFlat } from '../../../../tools/bench/growth.ts'
import {
  type LayoutDrains,
  type LayoutName,
  layoutTable,
  tableMeasurements,
} from '../../../../tools/bench/growth-table-results.ts'

/** At 0 and 30 M rows, in the order in which they are measured. */
const WELL: LayoutDrains[] = [
  drains(0, 'before', 100_000),
  drains(0, 'immediate', 100_000),
  drains(0, 'deferred', 150_000, 4, 2),
  drains(30_000_000, 'before', 50_000),
  drains(30_000_000, 'immediate', 60_000),
  drains(30_000_000, 'deferred', 95_000, 4, 2),
  drains(30_000_000, 'empty', 100_000, 4, 2),
]

test('the deferred layout is judged at the largest size, the immediate one at each', () => {
  const measurements = tableMeasurements(WELL)
  assert.deepEqual(
    measurements.map(({ measurement, ratio, must, better }) => [measurement, ratio.median, better, must]),
    [
      ['deferred, 30 M rows: rows/s as of an empty table', 0.95, 'more', 0.9],
      ['deferred, 30 M rows: rows/s as before', 1.9, 'more', 1.4],
      ["deferred, 30 M rows: PostgreSQL's CPU as before", 0.6, 'less', 0.7],
      ['immediate, 0 rows: rows/s as before', 1, 'more', 0.97],
      ['immediate, 30 M rows: rows/s as before', 1.2, 'more', 0.97],
    ],
  )
  assert.ok(staysFlat({ table: measurements }))
})

test("what is done for the rows later counts as PostgreSQL's CPU of the deferred layout, and not of the one before", () => {
  const later = (us: number): LayoutDrains[] =>
    WELL.map((each) => (each.name === 'deferred' ? { ...each, later: { us, seconds: 1 } } : each))
  assert.equal(tableMeasurements(later(3))[2]?.ratio.median, 0.7)
  assert.ok(staysFlat({ table: tableMeasurements(later(3)) }))
  assert.ok(!staysFlat({ table: tableMeasurements(later(3.1)) }))
})

test('without rows there is no empty table to compare with', () => {
  const names = tableMeasurements(WELL.filter(({ rows }) => rows === 0)).map(({ measurement }) => measurement)
  assert.deepEqual(names, [
    'deferred, 0 rows: rows/s as before',
    "deferred, 0 rows: PostgreSQL's CPU as before",
    'immediate, 0 rows: rows/s as before',
  ])
})

test('each layout has a line at each size', () => {
  const lines = layoutTable(WELL).split('\n')
  assert.equal(lines.length, 2 + WELL.length)
  assert.match(
    lines.at(-2) ?? '',
    /^30 M +\| deferred +\| 95,000 +\| 3\.00 us +\| 4\.00 us +\| 2\.00 us \(1\.0 s\) +\| 346 bytes$/,
  )
})

function drains(rows: number, name: LayoutName, perSecond: number, serverUs = 10, laterUs = 1): LayoutDrains {
  const drain = { perSecond, ownUs: 3, serverUs, walBytes: 346 }
  return { rows, name, drains: [drain, drain, drain, drain], later: { us: laterUs, seconds: 1 } }
}

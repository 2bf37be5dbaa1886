import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Report } from '../../../../k6/lib/report.ts'
import { conclude, expectationOf } from '../../../../tools/k6/k6-verdict.ts'

const CHUNK = 1000

function reportOf(parts: Report['parts'], others: Partial<Report> = {}): Report {
  return {
    script: 'x',
    run: { start_ms: 0, random: 0 },
    batch: 1,
    parts,
    failed: 0,
    dropped: 0,
    broken: [],
    ...others,
  }
}

function failed(...numbers: number[]) {
  return numbers.map((n) => ({ n, count: 1, refused: false }))
}

test('every event that was started is looked up once, in chunks', () => {
  const { ranges, sent } = expectationOf(
    reportOf([
      { first: 0, requests: 2500 },
      { first: 9000, requests: 1 },
      { first: 20_000, requests: 0 },
    ]),
    [],
    0,
    CHUNK,
  )
  assert.deepEqual(ranges, [
    { first: 0, last: 999 },
    { first: 1000, last: 1999 },
    { first: 2000, last: 2499 },
    { first: 9000, last: 9000 },
  ])
  assert.equal(sent, 2501)
})

test('a failed batch request counts for all of its events', () => {
  const report = reportOf([{ first: 0, requests: 10 }], { batch: 100, failed: 1 })
  const expected = expectationOf(report, [{ n: 300, count: 100, refused: false }], 2, CHUNK)
  assert.deepEqual(expected.ranges, [
    { first: 0, last: 999 },
    { first: 1000, last: 1199 },
  ])
  const { sent, acknowledged, not_acknowledged, unknown } = expected
  assert.deepEqual(
    { sent, acknowledged, not_acknowledged, unknown },
    {
      sent: 1200,
      acknowledged: 900,
      not_acknowledged: 100,
      unknown: 200,
    },
  )
})

test('a run is good if every acknowledged event is stored with its content', () => {
  const expected = expectationOf(reportOf([{ first: 0, requests: 300_000 }]), [], 0, CHUNK)
  const verdict = conclude(expected, { stored: 300_000 }, 0)
  assert.ok(verdict.ok)
  assert.equal(
    verdict.sentence,
    '300,000 sent, 300,000 acknowledged, 300,000 stored once with their content, 0 lost, 0 different',
  )
})

test('events that were not acknowledged may be stored or not', () => {
  const expected = expectationOf(
    reportOf([{ first: 0, requests: 10 }], { failed: 3 }),
    failed(4, 5, 6),
    0,
    CHUNK,
  )
  assert.ok(conclude(expected, { stored: 7, absent: 3 }, 0).ok)
  assert.ok(conclude(expected, { stored: 7, absent: 1, unacknowledged_stored: 2 }, 0).ok)
})

test('a run is bad if an event is missing, different, a dead letter, refused but stored, or stored twice', () => {
  const expected = expectationOf(reportOf([{ first: 0, requests: 10 }]), [], 0, CHUNK)
  assert.match(conclude(expected, { stored: 9, missing: 1 }, 0).sentence, / 9 stored .* 1 lost, 0 different$/)
  assert.match(
    conclude(expected, { stored: 9, different: 1 }, 0).sentence,
    / 9 stored .* 0 lost, 1 different$/,
  )
  for (const [found, copies] of [
    [{ stored: 9, missing: 1 }, 0],
    [{ stored: 9, different: 1 }, 0],
    [{ stored: 9, dead: 1 }, 0],
    [{ stored: 10, refused_stored: 1 }, 0],
    [{ stored: 11 }, 1],
    [{}, 0],
  ] as const) {
    assert.equal(conclude(expected, found, copies).ok, false, JSON.stringify(found))
  }
})

test('interrupted events may be missing, but no others', () => {
  const expected = expectationOf(reportOf([{ first: 0, requests: 100 }]), [], 5, CHUNK)
  assert.deepEqual([expected.sent, expected.acknowledged], [105, 100])
  for (const missing of [0, 3, 5]) {
    const verdict = conclude(expected, { stored: 105 - missing, missing }, 0)
    assert.ok(verdict.ok)
    assert.match(verdict.sentence, /^105 sent, 100 acknowledged, 100 stored .* 0 lost/)
  }
  const verdict = conclude(expected, { stored: 99, missing: 6 }, 0)
  assert.equal(verdict.ok, false)
  assert.match(verdict.sentence, / 99 stored .* 1 lost/)
})

test('a failure that was counted but not named is a problem', () => {
  const report = reportOf([{ first: 0, requests: 10 }], { failed: 2 })
  const expected = expectationOf(report, failed(1), 0, CHUNK)
  assert.equal(conclude(expected, { stored: 9, absent: 1 }, 0).ok, false)
})

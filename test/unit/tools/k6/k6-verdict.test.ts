import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Report } from '../../../../k6/lib/report.ts'
import { expectationOf, judgeRun, numbersOf } from '../../../../tools/k6/k6-verdict.ts'
import { emptyVerdict, type Verdict } from '../../../../tools/verify/verdict.ts'

function reportOf(parts: Report['parts'], others: Partial<Report> = {}): Report {
  return {
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
  return numbers.map((n) => ({ n, count: 1 }))
}

function found(counts: Partial<Verdict>): Verdict {
  return { ...emptyVerdict(), ...counts }
}

test('every acknowledged event of each part is compared once', () => {
  const report = reportOf([
    { first: 0, requests: 2500 },
    { first: 9000, requests: 1 },
    { first: 20_000, requests: 0 },
  ])
  assert.deepEqual([...numbersOf(report, [], 0)], [...Array(2500).keys(), 9000])
  assert.equal(expectationOf(report, [], 0).sent, 2501)
})

test('a failed batch request counts for all of its events', () => {
  const report = reportOf([{ first: 0, requests: 10 }], { batch: 100, failed: 1 })
  const failures = [{ n: 300, count: 100 }]
  const { sent, acknowledged, not_acknowledged, interrupted } = expectationOf(report, failures, 2)
  assert.deepEqual([sent, acknowledged, not_acknowledged, interrupted], [1200, 900, 100, 200])
  const numbers = [...Array(1200).keys()].filter((n) => n < 300 || n >= 400)
  assert.deepEqual([...numbersOf(report, failures, 2)], numbers)
})

test('a run is good if every acknowledged event is stored with its content', () => {
  const expected = expectationOf(reportOf([{ first: 0, requests: 300_000 }]), [], 0)
  const verdict = judgeRun(expected, found({ acked_stored: 300_000 }))
  assert.ok(verdict.ok)
  assert.equal(
    verdict.sentence,
    '300,000 sent, 300,000 acknowledged, 300,000 stored once with their content, 0 lost, 0 different',
  )
})

test('events that were not acknowledged may be stored or not', () => {
  const report = reportOf([{ first: 0, requests: 10 }], { failed: 3 })
  assert.deepEqual([...numbersOf(report, failed(4, 5, 6), 0)], [0, 1, 2, 3, 7, 8, 9])
  assert.ok(judgeRun(expectationOf(report, failed(4, 5, 6), 0), found({ acked_stored: 7 })).ok)
})

test('a run is bad if an acknowledged event is missing, different, a dead letter or not yet read, or verify finds anything', () => {
  const expected = expectationOf(reportOf([{ first: 0, requests: 10 }]), [], 0)
  const sentenceOf = (counts: Partial<Verdict>) => judgeRun(expected, found(counts)).sentence
  assert.match(sentenceOf({ acked_stored: 9, acked_missing_count: 1 }), / 9 stored .* 1 lost, 0 different$/)
  assert.match(sentenceOf({ acked_stored: 9, acked_different_count: 1 }), / 9 stored .* 0 lost, 1 different$/)
  const finding = { event_id: 'an id', partition: null, offset: null, why: 'gone' }
  const { findings } = judgeRun(
    expected,
    found({ acked_stored: 9, acked_missing_count: 1, acked_missing: [finding] }),
  )
  assert.deepEqual(findings, [['acked_missing', finding]])
  for (const counts of [
    { acked_stored: 9, acked_missing_count: 1 },
    { acked_stored: 9, acked_different_count: 1 },
    { acked_stored: 9, acked_dead: 1 },
    { acked_stored: 9, acked_not_yet_read: 1 },
    { acked_stored: 9, acked_not_judged: 1 },
    { acked_stored: 10, missing_count: 1 },
    { acked_stored: 10, different_count: 1 },
    { acked_stored: 10, problems: ['an id is stored more than once'] },
    {},
  ]) {
    assert.equal(judgeRun(expected, found(counts)).ok, false, JSON.stringify(counts))
  }
})

test('interrupted events may be missing, but no others', () => {
  const expected = expectationOf(reportOf([{ first: 0, requests: 100 }]), [], 5)
  assert.deepEqual([expected.sent, expected.acknowledged], [105, 100])
  const event = { event_id: 'an id', partition: null, offset: null, why: 'gone' }
  const verdictOf = (missing: number) =>
    judgeRun(
      expected,
      found({
        acked_stored: 105 - missing,
        acked_missing_count: missing,
        acked_missing: Array.from({ length: missing }, () => event),
      }),
    )
  for (const missing of [0, 3, 5]) {
    const verdict = verdictOf(missing)
    assert.ok(verdict.ok)
    assert.match(verdict.sentence, /^105 sent, 100 acknowledged, 100 stored .* 0 lost/)
    assert.deepEqual(verdict.findings, [])
  }
  const verdict = verdictOf(6)
  assert.equal(verdict.ok, false)
  assert.match(verdict.sentence, / 99 stored .* 1 lost/)
  assert.equal(verdict.findings.length, 6)
})

test('a failure that was counted but not named is a problem', () => {
  const expected = expectationOf(reportOf([{ first: 0, requests: 10 }], { failed: 2 }), failed(1), 0)
  assert.equal(judgeRun(expected, found({ acked_stored: 9 })).ok, false)
})

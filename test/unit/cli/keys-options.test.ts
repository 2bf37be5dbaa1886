import assert from 'node:assert/strict'
import { test } from 'node:test'
import { expiryOf, keyOf, overlapOf } from '../../../cli/keys-options.ts'

const NOW_MS = Date.UTC(2027, 0, 1, 12)
const browser = { kind: 'browser', origin: ['https://shop.example'] }

test('options become a key', () => {
  assert.deepEqual(keyOf('shop', { ...browser, eventsPerSecond: '500', burst: '2000' }), {
    label: 'shop',
    kind: 'browser',
    origins: ['https://shop.example'],
    eventsPerSecond: 500,
    burst: 2_000,
  })
  assert.deepEqual(keyOf('a', { kind: 'read', origin: [] }), {
    label: 'a',
    kind: 'read',
    origins: [],
    eventsPerSecond: undefined,
    burst: undefined,
  })
})

test('what cannot be a key is wrong usage', () => {
  for (const [label, options, sentence] of [
    ['a b', browser, /^UsageError: A label has 1 to 63 .* unlike "a b"\.$/],
    [
      'a',
      { ...browser, kind: 'admin' },
      /^UsageError: --kind must be one of browser, server, read, operate, not "admin"\.$/,
    ],
    ['a', { ...browser, origin: [] }, /^UsageError: --kind browser needs --origin, /],
    ['a', { ...browser, kind: 'server' }, /^UsageError: --origin is only for --kind browser: /],
    [
      'a',
      { ...browser, origin: ['https://a.example/x'] },
      /^UsageError: --origin must be .* not "https:\/\/a\.example\/x"\.$/,
    ],
    [
      'a',
      { ...browser, eventsPerSecond: '0' },
      /^UsageError: --events-per-second must be a whole number from 1 to 1000000, not "0"\.$/,
    ],
    [
      'a',
      { ...browser, burst: '999' },
      /^UsageError: --burst must be a whole number from 1000 to 10000000, not "999"\.$/,
    ],
    ['a', { ...browser, burst: '1e4' }, /^UsageError: --burst must be /],
  ] as const)
    assert.throws(() => keyOf(label, options), sentence)
})

test('a key expires after some time or at a date, which is its midnight in UTC; never in the past', () => {
  for (const [given, ms] of [
    ['90d', NOW_MS + 90 * 86_400_000],
    ['1s', NOW_MS + 1_000],
    ['2027-01-02', Date.UTC(2027, 0, 2)],
    ['2027-01-01T14:00:00+01:00', Date.UTC(2027, 0, 1, 13)],
    ['2027-01-01T12:00:01.9Z', NOW_MS + 1_000],
  ] as const)
    assert.equal(expiryOf(given, NOW_MS), ms, given)
  for (const given of ['2027-01-01', '2026-12-31', '0s', '', 'never', '90', '2027-02-30'])
    assert.throws(
      () => expiryOf(given, NOW_MS),
      /^UsageError: --expires must be a duration such as 90d, or a date/,
      given,
    )
})

test('an overlap is a duration, and may be none', () => {
  assert.deepEqual([overlapOf('7d'), overlapOf('0s')], [7 * 86_400_000, 0])
  for (const given of ['', '7', '-1d', '2027-01-01'])
    assert.throws(() => overlapOf(given), /^UsageError: --overlap must be/)
})

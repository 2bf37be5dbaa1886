import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatDuration, parseDuration } from '../../../platform/duration.ts'

test('durations are read as people write them, and written in the largest unit that is exact', () => {
  for (const [text, ms] of [
    ['90s', 90_000],
    ['10m', 600_000],
    ['36h', 129_600_000],
    ['2d', 172_800_000],
  ] as const) {
    assert.equal(parseDuration(text), ms)
    assert.equal(formatDuration(ms), text)
  }
  assert.equal(formatDuration(86_400_000), '1d')
  for (const text of ['', '10', 'm', '1.5h', '-1h', '1 h', '1w', '999999s'])
    assert.equal(parseDuration(text), undefined)
})

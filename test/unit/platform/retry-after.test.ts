import assert from 'node:assert/strict'
import { test } from 'node:test'
import { retryAfterMs } from '../../../platform/retry-after.ts'

test('Retry-After is read as seconds or as a date', () => {
  const nowMs = Date.UTC(2026, 0, 2, 3, 4, 5)
  const cases: [value: string | null | undefined, waitMs: number][] = [
    ['0', 0],
    ['120', 120_000],
    ['Fri, 02 Jan 2026 03:04:15 GMT', 10_000],
    ['Fri, 02 Jan 2026 03:04:04 GMT', 0],
    ['soon', 0],
    ['', 0],
    [null, 0],
    [undefined, 0],
  ]
  for (const [value, waitMs] of cases) assert.equal(retryAfterMs(value, nowMs), waitMs, String(value))
})

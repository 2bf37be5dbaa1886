import assert from 'node:assert/strict'
import { test } from 'node:test'
import { progressLine } from '../../../cli/verify-progress.ts'

test('progress shows the share done, the rate and the time left', () => {
  const half = { records: 1_000_000, records_total: 2_002_400, acked: 0 }
  assert.equal(progressLine(half, 40_000), '49%  1,000,000 of 2,002,400 records, 25,000/s, 41 s left')
  assert.equal(progressLine(half, 400), '49%  1,000,000 of 2,002,400 records')
  const large = { records: 100_000, records_total: 100_000_000, acked: 0 }
  assert.match(progressLine(large, 12_000), /, 3 h 20 min left$/)
  assert.match(progressLine(large, 1_500), /, 25 min left$/)
})

test('the file of acknowledged events is read before the topic', () => {
  const reading = { records: 0, records_total: 0, acked: 60_000 }
  assert.equal(progressLine(reading, 2_000), '60,000 acknowledged events looked up, 30,000/s')
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DecodedRow } from '../../../event/record/decoded.ts'
import { decodeRecords } from '../../../event/record/decode.ts'
import { AppendDelay } from '../../../sink-worker/append-delay.ts'
import { record } from '../../support/records.ts'

/** A record that Kafka appended so many seconds after the API received its event. */
function row(seconds: number): DecodedRow {
  const received = Date.parse('2026-01-02T03:04:06Z')
  const { rows } = decodeRecords(
    [
      {
        partition: 0,
        offset: 0n,
        timestampMs: received + seconds * 1_000,
        value: Buffer.from(record(1)),
        headers: {},
      },
    ],
    { clusterId: 'c', topic: 'events' },
    'bigint',
  )
  return rows[0]!
}

test('the least and the greatest delay are kept for one to two minutes', () => {
  const delay = new AppendDelay()
  assert.equal(delay.read(0), undefined)
  delay.observe([], 0)
  assert.equal(delay.read(0), undefined)
  delay.observe([row(0.25), row(99), row(-691_200)], 1_000)
  assert.deepEqual(delay.read(1_000), { min: -691_200, max: 0.25 })
  delay.observe([row(3)], 59_000)
  assert.deepEqual(delay.read(61_000), { min: -691_200, max: 3 })
  delay.observe([row(1)], 62_000)
  assert.deepEqual(delay.read(119_000), { min: -691_200, max: 3 })
  assert.deepEqual(delay.read(125_000), { min: 1, max: 1 })
  assert.equal(delay.read(250_000), undefined)
})

test('a clock of this machine that is set back forgets nothing but what it saw', () => {
  const delay = new AppendDelay()
  delay.observe([row(1)], 1_000_000)
  assert.equal(delay.read(0), undefined)
  delay.observe([row(2)], 1)
  assert.deepEqual(delay.read(2), { min: 2, max: 2 })
})

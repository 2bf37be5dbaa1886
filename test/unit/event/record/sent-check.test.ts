import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32 } from 'node:zlib'
import type { EventRow } from '../../../../event/fields.ts'
import type { UserIdType } from '../../../../event/kinds.ts'
import { decodeRecords } from '../../../../event/record/decode.ts'

const ID = '0198c0de-7a5b-7000-8000-0123456789ab'
const SENT = `{"event_id":"${ID}","user_id":42,"timestamp":"2026-01-02T03:04:05.000000Z","metadata":{"page":"/ü"}}`
const RECORD = SENT.replace(',"metadata"', ',"received_at":"2026-01-02T03:04:06.000000Z","metadata"')

function rowOf(text: string, userIdType: UserIdType = 'bigint'): EventRow {
  const record = { partition: 0, offset: 0n, timestampMs: 0, value: Buffer.from(text), headers: {} }
  const [row] = decodeRecords([record], { clusterId: 'c', topic: 't' }, userIdType).rows
  assert.ok(row)
  return row.row
}

const checkOf = (text: string): bigint => BigInt(rowOf(text).sentCheck)

test('the check is the byte length and the CRC-32 of what was sent, and is stored, so it never changes', () => {
  const sent = Buffer.from(SENT)
  assert.equal(checkOf(RECORD), (BigInt(sent.length) << 32n) + BigInt(crc32(sent)))
  assert.equal(checkOf(RECORD), 567_263_796_294n)
})

test('what the API sets, the order and the notation of the fields do not matter; everything sent does', () => {
  const same = [
    RECORD.replace('03:04:06', '09:09:09'),
    SENT,
    `{"metadata":{"page":"/ü"}, "timestamp":"2026-01-02T04:04:05+01:00", "user_id":"42", "other":1, "event_id":"${ID.toUpperCase()}"}`,
  ]
  for (const text of same) assert.equal(checkOf(text), checkOf(RECORD), text)
  const others = [
    RECORD.replace('ab"', 'ac"'),
    RECORD.replace(':42', ':43'),
    RECORD.replace('05.000000', '05.000001'),
    RECORD.replace('page', 'Page'),
  ]
  for (const text of others) assert.notEqual(checkOf(text), checkOf(RECORD), text)
})

test('an integer has the same check whatever the type of the column, and however it was written', () => {
  const long = RECORD.replace('page', 'x'.repeat(100_000))
  for (const record of [RECORD, long]) {
    const texts = [record, record.replace(':42', ':"42"')]
    for (const text of [...texts, ...texts.map((each) => `{"other":1,${each.slice(1)}`)]) {
      assert.equal(BigInt(rowOf(text, 'text').sentCheck), checkOf(record))
      assert.equal(checkOf(text), checkOf(record))
    }
    const other = BigInt(rowOf(record.replace(':42', ':"042"'), 'text').sentCheck)
    assert.notEqual(other, BigInt(rowOf(record.replace(':42', ':"42"'), 'text').sentCheck))
  }
})

test('a long record has the same check by either decoder', () => {
  const long = RECORD.replace('page', 'x'.repeat(3_000_000))
  assert.equal(checkOf(long), checkOf(`{"other":1,${long.slice(1)}`))
  assert.equal(checkOf(long) >> 32n, BigInt(Buffer.byteLength(SENT) + 3_000_000 - 4))
})

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import fc from 'fast-check'
import { crc32c, encodeRecordBatch } from '../../../../kafka/producer/record-batch.ts'
import { recordsOf } from '../../../support/records-of.ts'

const require = createRequire(import.meta.url)
const Decoder = require('kafkajs/src/protocol/decoder') as new (buffer: Buffer) => object
const decodeBatch = require('kafkajs/src/protocol/recordBatch/v0/decoder') as (decoder: object) => Promise<{
  lastOffsetDelta: number
  maxTimestamp: string
  records: { offset: string; key: null; value: Buffer; headers: object; timestamp: string }[]
}>

test('the checksum is CRC-32C: test vectors of RFC 3720, B.4', () => {
  const of = (bytes: Uint8Array): string => crc32c(bytes, 0, bytes.length).toString(16)
  assert.equal(of(new Uint8Array(32)), '8a9136aa')
  assert.equal(of(new Uint8Array(32).fill(0xff)), '62a8ab43')
  assert.equal(of(Uint8Array.from({ length: 32 }, (_, n) => n)), '46dd794e')
  assert.equal(of(Buffer.from('123456789')), 'e3069283')
  assert.equal(crc32c(Buffer.from('xx123456789x'), 2, 11).toString(16), 'e3069283')
})

test('kafkajs decodes a batch to the encoded records', async () => {
  const values = fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 300 })
  const splits = fc.array(fc.nat({ max: 300 }), { maxLength: 3 })
  const time = fc.integer({ min: 0, max: 4_102_444_800_000 })
  await fc.assert(
    fc.asyncProperty(values, splits, time, async (bytes, ends, timestampMs) => {
      const records = bytes.map((value) => Buffer.from(value))
      // The records of several requests, possibly none.
      const cuts = [0, ...ends.toSorted((a, b) => a - b), records.length]
      const requests = cuts.slice(1).map((end, n) => recordsOf(...records.slice(cuts[n], end)))
      const batch = encodeRecordBatch(requests, timestampMs)
      // kafkajs reads offset and length before it calls its decoder.
      const read = await decodeBatch(new Decoder(batch))
      assert.equal(batch.readUInt32BE(17), crc32c(batch, 21, batch.length))
      assert.equal(read.lastOffsetDelta, records.length - 1)
      assert.equal(Number(read.maxTimestamp), timestampMs)
      assert.deepEqual(
        read.records.map(({ value }) => value),
        records,
      )
      read.records.forEach((record, n) => {
        assert.deepEqual([record.offset, record.key, record.headers], [String(n), null, {}])
        assert.equal(Number(record.timestamp), timestampMs)
      })
    }),
  )
})

test('varints of one to four bytes', async () => {
  for (const length of [0, 63, 64, 8_191, 8_192, 1_048_575, 1_048_576]) {
    const { records } = await decodeBatch(
      new Decoder(encodeRecordBatch([recordsOf(Buffer.alloc(length, 7))], 0)),
    )
    assert.equal(records[0]?.value.length, length)
  }
})

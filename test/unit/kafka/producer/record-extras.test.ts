import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Extras } from '../../../../event/record/extras.ts'
import { prepareMessages } from '../../../../kafka/producer/prepare-send.ts'
import { crc32c, encodeRecordBatch } from '../../../../kafka/producer/record-batch.ts'
import { recordsOf } from '../../../support/records-of.ts'
import '../../../../kafka/patches.ts' // kafkajs itself takes a name like "valueOf" for one that came before

const require = createRequire(import.meta.url)
const Decoder = require('kafkajs/src/protocol/decoder') as new (buffer: Buffer) => object
const decodeBatch = require('kafkajs/src/protocol/recordBatch/v0/decoder') as (decoder: object) => Promise<{
  records: { key: Buffer | null; value: Buffer; headers: Record<string, Buffer | Buffer[]> }[]
}>

const bytes = fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array))
const headers = fc.array(fc.record({ name: fc.string({ unit: 'binary', maxLength: 80 }), value: bytes }), {
  maxLength: 70,
})
const extras = fc.option(fc.record({ key: bytes, headers }, { requiredKeys: [] }), { nil: undefined })
const request = fc.array(fc.tuple(bytes, extras), { minLength: 1, maxLength: 5 })

/** The headers as a consumer has them: of a name that comes more than once an array. */
function byName({ headers: list = [] }: Extras): Record<string, Buffer | Buffer[]> {
  const grouped = Map.groupBy(list, ({ name }) => name)
  const values = [...grouped].map(([name, all]) => [name, all.map(({ value }) => value)] as const)
  return Object.fromEntries(values.map(([name, all]) => [name, all.length === 1 ? all[0]! : all]))
}

test('keys and headers are read by kafkajs as they went in, beside requests that have none', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(request, { minLength: 1, maxLength: 4 }), async (requests) => {
      const batch = encodeRecordBatch(
        requests.map((records) => {
          const plain = recordsOf(...records.map(([value]) => value))
          const own = records.map(([, each]) => each)
          return own.every((each) => each === undefined) ? plain : { ...plain, extras: own }
        }),
        1,
      )
      assert.equal(batch.readUInt32BE(17), crc32c(batch, 21, batch.length))
      const read = (await decodeBatch(new Decoder(batch))).records
      assert.deepEqual(
        read.map(({ key, value, headers: found }) => [key, value, { ...found }]),
        requests.flat().map(([value, own]) => [own?.key ?? null, value, byName(own ?? {})]),
      )
    }),
  )
})

test('without extras the bytes are those of before, whether the list is left out or holds nothing', () => {
  const plain = recordsOf(Buffer.from('a'), Buffer.from('b'))
  const expected = encodeRecordBatch([plain], 7)
  for (const own of [[], [undefined, undefined], [{}, { headers: [] }]])
    assert.deepEqual(encodeRecordBatch([{ ...plain, extras: own }], 7), expected)
})

test('what kafkajs encodes itself has the same keys and headers, and is known to be encoded only then', () => {
  const own: Extras = {
    key: Buffer.from('k'),
    headers: ['1', '2'].map((text) => ({ name: 'n', value: Buffer.from(text) })),
  }
  const { messages, mayBeWritten } = prepareMessages(3, [{ ...recordsOf(Buffer.from('a')), extras: [own] }])
  assert.deepEqual([messages[0]?.key, messages[0]?.partition], [own.key, 3])
  assert.equal(mayBeWritten(), false)
  assert.deepEqual(messages[0]?.headers, { n: [Buffer.from('1'), Buffer.from('2')] })
  assert.equal(mayBeWritten(), true)
})

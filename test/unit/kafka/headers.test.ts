import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import type { IHeaders } from 'kafkajs'
import { NO_HEADERS } from '../../../kafka/patches.ts'
import { encodeRecordBatch } from '../../../kafka/producer/record-batch.ts'
import { recordsOf } from '../../support/records-of.ts'

/* How kafkajs reads headers, patched: kafka/patches.ts. */

const require = createRequire(import.meta.url)
const Decoder = require('kafkajs/src/protocol/decoder') as new (buffer: Buffer) => object
const decodeBatch = require('kafkajs/src/protocol/recordBatch/v0/decoder') as (
  decoder: object,
) => Promise<{ records: { headers: IHeaders }[] }>

const value = Buffer.from('x')

async function headersOf(...names: string[][]): Promise<IHeaders[]> {
  const extras = names.map((list) => ({ headers: list.map((name) => ({ name, value })) }))
  const batch = encodeRecordBatch([{ ...recordsOf(...names.map(() => value)), extras }], 0)
  return (await decodeBatch(new Decoder(batch))).records.map(({ headers }) => headers)
}

test('records without headers have one object in common', async () => {
  for (const headers of await headersOf([], [])) assert.equal(headers, NO_HEADERS)
})

test('a name that comes more than once has all its values; any name may come', async () => {
  const [headers] = await headersOf(['a', '__proto__', 'a', '', 'constructor'])
  const entries = Object.entries(headers ?? {})
  assert.deepEqual(
    new Map(entries),
    new Map<string, unknown>([
      ['a', [value, value]],
      ['__proto__', value],
      ['', value],
      ['constructor', value],
    ]),
  )
})

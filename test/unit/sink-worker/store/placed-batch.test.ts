import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { type PlacedBatch, toRequest } from '../../../../sink-worker/store/placed-batch.ts'
import { InvariantError } from '../../../../platform/errors.ts'
import { Epoch } from '../../../../sink-worker/positions/epoch.ts'
import { Partition } from '../../../../sink-worker/positions/partition.ts'
import type { EventRow } from '../../../../event/fields.ts'
import type { KafkaRecord } from '../../../../event/record/decoded.ts'

/** For each partition, the sizes of its waiting batches. */
const waiting = fc.array(fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 3 }), {
  minLength: 1,
  maxLength: 4,
})

const epoch = new Epoch()

function batchesOf(sizes: number[], number: number): PlacedBatch[] {
  const stored = { partition: number, nextOffset: 10n, last: null }
  const start = { kind: 'read', seek: 10n, check: null } as const
  const partition = new Partition(stored, start, { low: 0n, lastStable: 99n, high: 99n })
  let from = 10n
  return sizes.map((size) => {
    const records = Array.from({ length: size }, (_, n): KafkaRecord => {
      const offset = from + BigInt(n)
      return { partition: number, offset, timestampMs: 0, value: Buffer.from(String(offset)), headers: {} }
    })
    const last = records.at(-1) as KafkaRecord
    const to = last.offset + 2n // a transaction marker
    const rows = records.map((record) => ({ record, row: {} as EventRow }))
    const batch = { epoch, partition, from, to, last, rows, dead: [], expired: 0 }
    from = to
    return batch
  })
}

test('property: all waiting batches of a partition become one slice, from the first to the last of them', () => {
  fc.assert(
    fc.property(waiting, (sizes) => {
      const batches = sizes.map(batchesOf)
      // In order of arrival: the first of each partition, then the second.
      const inTurns = [0, 1, 2].flatMap((turn) => batches.flatMap((own) => own.slice(turn, turn + 1)))
      const { slices, rows } = toRequest(inTurns, 'bigint')
      assert.deepEqual(
        slices.map(({ partition, from, to, lastOffset }) => [partition, from, to, lastOffset]),
        batches.map((own, partition) => [partition, 10n, own.at(-1)?.to, own.at(-1)?.last.offset]),
      )
      assert.deepEqual(
        rows,
        batches.flatMap((own) => own.flatMap((batch) => batch.rows)),
      )
    }),
  )
})

test('an invariant: the batches of a partition follow each other without a gap', () => {
  const [first, , third] = batchesOf([1, 1, 1], 0)
  assert.ok(first !== undefined && third !== undefined)
  assert.throws(() => toRequest([first, third], 'bigint'), InvariantError)
})

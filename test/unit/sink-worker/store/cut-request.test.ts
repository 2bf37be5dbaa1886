import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { countRecords, cutRequest } from '../../../../sink-worker/store/cut-request.ts'
import { digestOf } from '../../../../sink-worker/positions/place.ts'
import type { EventRow } from '../../../../event/fields.ts'
import type { KafkaRecord } from '../../../../event/record/decoded.ts'
import type { WriteRequest } from '../../../../sink-worker/store/write-batch.ts'

/** Partitions: for each record, the gap before it and whether it is a row. */
const layouts = fc.array(
  fc.array(fc.tuple(fc.nat({ max: 3 }), fc.boolean()), { minLength: 1, maxLength: 30 }),
  { minLength: 1, maxLength: 4 },
)

function requestOf(layout: (readonly [gap: number, isRow: boolean])[][]): WriteRequest {
  const slices: WriteRequest['slices'][number][] = []
  const rows: WriteRequest['rows'][number][] = []
  const dead: WriteRequest['dead'][number][] = []
  for (const [partition, records] of layout.entries()) {
    let offset = 9n
    let last: KafkaRecord | undefined
    for (const [gap, isRow] of records) {
      offset += BigInt(gap) + 1n
      const value = Buffer.from(`${partition} ${offset}`)
      last = { partition, offset, timestampMs: 0, value, headers: {} }
      if (isRow) rows.push({ record: last, row: {} as EventRow })
      else
        dead.push({
          record: last,
          eventId: undefined,
          reason: 'undecodable',
          sqlstate: undefined,
          message: '',
        })
    }
    assert.ok(last)
    const to = offset + 3n // trailing transaction markers
    slices.push({ partition, from: 10n, to, lastOffset: offset, lastDigest: digestOf(last) })
  }
  return { slices, rows, dead, userIdType: 'bigint' }
}

test('property: cutting until nothing is left yields each record once, in order, with contiguous offsets', () => {
  fc.assert(
    fc.property(layouts, fc.integer({ min: 1, max: 40 }), fc.boolean(), (layout, most, singly) => {
      const whole = requestOf(layout)
      const heads: WriteRequest[] = []
      for (let rest: WriteRequest | undefined = whole; rest !== undefined; ) {
        const [head, next]: [WriteRequest, WriteRequest?] = cutRequest(rest, most, singly)
        heads.push(head)
        rest = next
        assert.ok(heads.length <= countRecords(whole), 'it terminates')
        if (rest !== undefined && !singly) assert.equal(countRecords(head), most)
      }
      for (const head of heads) {
        assert.ok(countRecords(head) <= most && countRecords(head) > 0)
        if (singly) assert.equal(head.slices.length, 1)
      }
      assert.deepEqual(
        heads.flatMap(({ rows }) => rows),
        whole.rows,
      )
      assert.deepEqual(
        heads.flatMap(({ dead }) => dead),
        whole.dead,
      )

      for (const slice of whole.slices) {
        const cuts = heads.flatMap(({ slices }) => slices.filter((cut) => cut.partition === slice.partition))
        let next = slice.from
        for (const cut of cuts) {
          assert.equal(cut.from, next)
          assert.ok(cut.lastOffset >= cut.from && cut.lastOffset < cut.to)
          assert.deepEqual(cut.lastDigest, digestOf(recordAt(slice.partition, cut.lastOffset)))
          next = cut.to
        }
        assert.equal(next, slice.to)
      }
      for (const { slices, rows, dead } of heads) {
        for (const { record } of [...rows, ...dead]) {
          const slice = slices.find(({ partition }) => partition === record.partition)
          assert.ok(slice && record.offset >= slice.from && record.offset <= slice.lastOffset)
        }
      }
    }),
  )
})

test('a request that fits is not cut, and witnesses stay in both parts', () => {
  const request = { ...requestOf([[[0, true]], [[0, true]]]), witnesses: [] }
  assert.deepEqual(cutRequest(request, 2), [request])
  const [head, rest] = cutRequest(request, 2, true)
  assert.deepEqual([head.witnesses, rest?.witnesses], [[], []])
})

function recordAt(partition: number, offset: bigint): KafkaRecord {
  return { partition, offset, timestampMs: 0, value: Buffer.from(`${partition} ${offset}`), headers: {} }
}

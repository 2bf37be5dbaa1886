import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { decideStart, type StoredOffset, stop } from '../../../../sink-worker/positions/offsets.ts'

const digest = Buffer.alloc(32, 7)

/** Offsets written up to `next`; `last` is the offset of the last written record. */
function stored(next: bigint, last: bigint | null): StoredOffset {
  return { partition: 5, nextOffset: next, last: last === null ? null : { offset: last, digest } }
}

/** The row of sink_offsets, the range that Kafka holds, and where reading starts. */
const STARTS: [name: string, StoredOffset, low: bigint, high: bigint, seek: bigint, checked: boolean][] = [
  ['nothing written, nothing in Kafka', stored(0n, null), 0n, 0n, 0n, false],
  ['nothing written, some in Kafka', stored(0n, null), 0n, 50n, 0n, false],
  ['nothing written, the log begins later', stored(30n, null), 30n, 50n, 30n, false],
  ['the last record is compared first', stored(40n, 39n), 0n, 50n, 39n, true],
  ['also when all was written', stored(50n, 49n), 0n, 50n, 49n, true],
  ['also over trailing transaction markers', stored(50n, 45n), 0n, 50n, 45n, true],
  ['the last record is the first that Kafka holds', stored(40n, 39n), 39n, 50n, 39n, true],
  ['the last record has expired', stored(40n, 39n), 40n, 50n, 40n, false],
  ['records expired before they were read', stored(40n, 39n), 45n, 50n, 40n, false],
  ['all expired', stored(40n, 39n), 50n, 50n, 40n, false],
]
for (const [name, offset, low, high, seek, checked] of STARTS) {
  test(`read: ${name}`, () => {
    assert.deepEqual(decideStart(offset, { low, lastStable: high }), {
      kind: 'read',
      seek,
      check: checked ? offset.last : null,
    })
  })
}

test('stop: the log ends before the written offset', () => {
  for (const [offset, high] of [
    [stored(40n, 39n), 39n],
    [stored(40n, 39n), 0n],
    [stored(1n, null), 0n],
    [stored(0n, null), -1n],
  ] as const) {
    const start = decideStart(offset, { low: 0n, lastStable: high })
    assert.ok(start.kind === 'stop')
    assert.match(
      start.reason,
      new RegExp(`partition 5 ends at offset ${high}, but ${offset.nextOffset} was written`),
    )
  }
})

test('a stop names the commands that resolve it', () => {
  assert.match(stop('because').reason, /^because; .*npx firehose adopt.*npx firehose rewind/)
})

test('no written offset is read as new, and no unread offset is skipped', () => {
  const offset = fc.bigInt({ min: 0n, max: 60n })
  fc.assert(
    fc.property(offset, fc.option(offset), offset, offset, (next, last, low, length) => {
      fc.pre(last === null || last < next)
      const start = decideStart(stored(next, last), { low, lastStable: low + length })
      if (low + length < next) return assert.equal(start.kind, 'stop')
      assert.ok(start.kind === 'read')
      assert.ok(start.seek <= next, 'never past the written offsets')
      assert.equal(start.check !== null, last !== null && last >= low, 'compared if Kafka still has it')
      assert.equal(start.seek, start.check === null ? next : start.check.offset)
    }),
    { numRuns: 1_000 },
  )
})

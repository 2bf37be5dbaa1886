import assert from 'node:assert/strict'
import { test } from 'node:test'
import { boundsOf, offsetProblems, unstoredRecords } from '../../../../tools/verify/sink-bounds.ts'

const ends = (low: bigint, high: bigint) => [{ partition: 0, low, high }]
const offset = (next: number, cluster_id = 'here') => [
  { cluster_id, partition: 0, next_offset: String(next) },
]

test('the bound is the offset of the sink of this cluster, or the start of the partition', () => {
  const rows = [...offset(7, 'elsewhere'), ...offset(5)]
  assert.deepEqual(boundsOf(ends(2n, 9n), rows, 'here'), new Map([[0, 5n]]))
  assert.deepEqual(boundsOf(ends(2n, 9n), offset(7, 'elsewhere'), 'here'), new Map([[0, 2n]]))
})

test('I9: nothing is lost if the sink stored records while the ends were queried, before they expired', () => {
  assert.deepEqual(offsetProblems(ends(150n, 300n), offset(100), offset(200), 'here'), [])
})

test('I9: records that expired before they were stored are named, even if the sink has moved on', () => {
  assert.deepEqual(offsetProblems(ends(150n, 300n), offset(100), offset(120), 'here'), [
    'partition 0: offsets 120 to 149 expired before they were stored',
  ])
})

test('I9: a sink past the end is no problem if the end was queried earlier', () => {
  assert.deepEqual(offsetProblems(ends(0n, 300n), offset(300), offset(350), 'here'), [])
  assert.match(
    offsetProblems(ends(0n, 300n), offset(301), offset(350), 'here')[0] ?? '',
    /ends at 300, but 301/,
  )
})

test('I9: offsets of another cluster, or of a partition that is gone, are named', () => {
  const [other] = offsetProblems(ends(0n, 1n), offset(1, 'elsewhere'), offset(1, 'elsewhere'), 'here')
  assert.match(other ?? '', /only under other clusters, not under here/)
  const gone = [{ cluster_id: 'here', partition: 4, next_offset: '1' }]
  assert.deepEqual(offsetProblems(ends(0n, 1n), gone, gone, 'here'), [
    'sink_offsets has partition 4, but Kafka does not',
  ])
})

test('what is not stored is counted from the offsets of this cluster, or from the start of the partition', () => {
  const partitions = [
    { partition: 0, low: 2n, high: 9n },
    { partition: 1, low: 1n, high: 4n },
  ]
  assert.equal(unstoredRecords(partitions, offset(5), 'here'), 4n + 3n)
  assert.equal(unstoredRecords(partitions, offset(12), 'here'), 3n, 'a recreated topic does not hide others')
})

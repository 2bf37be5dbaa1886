import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { Partition, type Taken } from '../../../../sink-worker/positions/partition.ts'
import { digestOf, placeBatch } from '../../../../sink-worker/positions/place.ts'
import type { RecordBatch } from '../../../../sink-worker/record-source.ts'
import type { KafkaRecord } from '../../../../event/record/decoded.ts'

function recordAt(offset: bigint, topic = 'topic'): KafkaRecord {
  return { partition: 0, offset, timestampMs: 0, value: Buffer.from(`${topic} ${offset}`), headers: {} }
}

function batchOf(offsets: readonly bigint[], topic?: string): RecordBatch {
  const records = offsets.map((offset) => recordAt(offset, topic))
  return { partition: 0, records, endOffset: (offsets.at(-1) ?? -1n) + 1n, isAppendTime: false }
}

function checkAt(offset: bigint, topic?: string): { offset: bigint; digest: Buffer } {
  return { offset, digest: digestOf(recordAt(offset, topic)) }
}

/** The offsets taken, or the other placement. */
function place(next: bigint, check: ReturnType<typeof checkAt> | null, batch: RecordBatch): unknown {
  const placement = placeBatch({ next, check }, batch)
  return placement.kind === 'take' ? placement.records.map(({ offset }) => offset) : placement
}

test('a batch that starts at the position is taken whole', () => {
  assert.deepEqual(place(5n, null, batchOf([5n, 6n, 9n])), [5n, 6n, 9n]) // within a batch, gaps are markers
})

test('the last written record comes first and is not taken again', () => {
  assert.deepEqual(place(5n, checkAt(4n), batchOf([4n, 5n, 6n])), [5n, 6n])
  assert.deepEqual(place(5n, checkAt(4n), batchOf([4n])), [])
  assert.deepEqual(place(7n, checkAt(4n), batchOf([4n, 7n])), [7n]) // 5 and 6 were trailing markers
  assert.deepEqual(place(5n, checkAt(4n), batchOf([4n, 8n])), [8n]) // 5 to 7 are markers: since 4 is retained, so are they
})

test('another record at its offset means another topic, and nothing is taken', () => {
  assert.deepEqual(place(5n, checkAt(4n), batchOf([4n, 5n], 'new')), { kind: 'other_topic' })
  const noValue = { ...batchOf([4n, 5n]), records: [{ ...recordAt(4n), value: null }, recordAt(5n)] }
  assert.deepEqual(place(5n, checkAt(4n), noValue), { kind: 'other_topic' })
})

test('a batch that starts after the record to compare is not accepted', () => {
  assert.deepEqual(place(5n, checkAt(4n), batchOf([5n, 6n])), { kind: 'check_missing' })
  assert.deepEqual(place(5n, checkAt(4n), batchOf([90n])), { kind: 'check_missing' })
})

test('a batch that starts before the requested offset is unexpected', () => {
  assert.deepEqual(place(5n, null, batchOf([0n, 1n])), { kind: 'unexpected' })
  assert.deepEqual(place(5n, null, batchOf([4n, 5n])), { kind: 'unexpected' })
  assert.deepEqual(place(5n, checkAt(4n), batchOf([3n, 4n, 5n])), { kind: 'unexpected' })
  assert.deepEqual(place(5n, null, batchOf([])), { kind: 'unexpected' })
})

test('missing offsets before the first record are a gap', () => {
  assert.deepEqual(place(5n, null, batchOf([6n, 7n])), { kind: 'gap', first: 6n })
})

test('the digest is the SHA-256 of the value; a null value is hashed as empty', () => {
  const sha256 = (bytes: string): Buffer => createHash('sha256').update(bytes).digest()
  assert.deepEqual(digestOf(recordAt(1n)), sha256('topic 1'))
  assert.deepEqual(digestOf({ ...recordAt(1n), value: null }), sha256(''))
})

/** A partition's log: the offsets of records (others are markers), what has expired, whether it was recreated. */
interface Log {
  offsets: bigint[]
  low: bigint
  topic: string
}

const log = fc
  .tuple(fc.array(fc.boolean(), { minLength: 1, maxLength: 40 }), fc.nat({ max: 25 }), fc.boolean())
  .map(([isRecord, low, recreated]): Log => {
    const offsets = isRecord.flatMap((record, offset) => (record ? [BigInt(offset)] : []))
    return {
      offsets: offsets.filter((offset) => offset >= low),
      low: BigInt(low),
      topic: recreated ? 'new' : 'topic',
    }
  })

test('property: whatever is delivered, no record below the position is taken, and none at or above it is skipped', () => {
  const delivery = fc.record({ from: fc.nat({ max: 45 }), size: fc.integer({ min: 1, max: 10 }) })
  fc.assert(
    fc.property(
      log,
      fc.nat({ max: 20 }),
      fc.nat({ max: 3 }),
      fc.array(delivery),
      (kafka, last, markers, all) => {
        // Written earlier, from the topic of that time: up to the record `last` and the markers after it.
        let check: ReturnType<typeof checkAt> | null = checkAt(BigInt(last), 'topic')
        let next = BigInt(last + 1 + markers)
        if (check.offset < kafka.low) check = null // as decideStart does
        const wasChecked = check !== null
        const taken: bigint[] = []
        for (const { from, size } of all) {
          const offsets = kafka.offsets.filter((offset) => offset >= from).slice(0, size)
          if (offsets.length === 0) continue
          const batch = batchOf(offsets, kafka.topic)
          const placement = placeBatch({ next, check }, batch)
          if (placement.kind === 'gap') {
            assert.equal(check, null)
            assert.equal(placement.first, offsets[0])
            assert.ok(placement.first > next, 'a gap is above the position')
          }
          if (placement.kind !== 'take') continue
          for (const { offset } of placement.records) {
            assert.ok(offset >= next, `${offset} was written before`)
            taken.push(offset)
          }
          const end = batch.endOffset > next ? batch.endOffset : next
          const missed = kafka.offsets.filter(
            (offset) => offset >= next && offset < end && !taken.includes(offset),
          )
          assert.deepEqual(missed, [], 'the position would move past records that were not taken')
          check = null
          next = end
        }
        assert.deepEqual(
          taken,
          taken.toSorted((a, b) => Number(a - b)).filter((offset, i) => offset !== taken[i - 1]),
          'each once, in order',
        )
        if (wasChecked && kafka.topic === 'new')
          assert.deepEqual(taken, [], 'nothing is taken from a recreated topic')
      },
    ),
    { numRuns: 2_000 },
  )
})

test('property: all records of a client that delivers in order from the right offset are taken', () => {
  fc.assert(
    fc.property(log, fc.nat({ max: 45 }), fc.integer({ min: 1, max: 10 }), (kafka, written, size) => {
      fc.pre(kafka.topic === 'topic')
      const before = kafka.offsets.filter((offset) => offset < written)
      const last = before.at(-1)
      let check = last === undefined ? null : checkAt(last)
      let next = last === undefined ? kafka.low : last + 1n
      let position = last ?? kafka.low
      const taken: bigint[] = []
      for (;;) {
        const offsets = kafka.offsets.filter((offset) => offset >= position).slice(0, size)
        if (offsets.length === 0) break
        const batch = batchOf(offsets)
        const placement = placeBatch({ next, check }, batch)
        // Markers at the start look like a gap: the worker asks Kafka what has expired, then takes the batch.
        const records =
          placement.kind === 'gap' ? batch.records : placement.kind === 'take' ? placement.records : []
        assert.ok(placement.kind === 'gap' || placement.kind === 'take', placement.kind)
        taken.push(...records.map(({ offset }) => offset))
        check = null
        next = batch.endOffset
        position = next
      }
      assert.deepEqual(
        taken,
        kafka.offsets.filter((offset) => last === undefined || offset > last),
      )
    }),
    { numRuns: 1_000 },
  )
})

const END = { low: 0n, lastStable: 1_000n, high: 1_000n }
const READ = { kind: 'read', seek: 0n, check: null } as const

test('property: the positions of a partition never go back, and each record is taken once', async () => {
  const steps = fc.array(
    fc.oneof(
      fc.record({
        what: fc.constant('batch' as const),
        size: fc.integer({ min: 1, max: 5 }),
        markers: fc.nat({ max: 2 }),
      }),
      fc.record({ what: fc.constant('empty' as const), size: fc.integer({ min: 1, max: 5 }) }),
      fc.record({ what: fc.constant('commit' as const) }),
    ),
    { maxLength: 30 },
  )
  await fc.assert(
    fc.asyncProperty(steps, async (todo) => {
      const partition = new Partition({ partition: 0, nextOffset: 0n, last: null }, READ, END)
      const waiting: Taken[] = []
      let written = 0n
      for (const step of todo) {
        const { read } = partition
        if (step.what === 'empty') partition.skip({ partition: 0, from: read, to: read + BigInt(step.size) })
        else if (step.what === 'commit') {
          const first = waiting.shift()
          if (first === undefined) continue
          assert.equal(first.from, written, 'ranges follow each other')
          partition.committed(first.to)
          written = first.to
        } else {
          const offsets = Array.from({ length: step.size }, (_, n) => read + BigInt(n))
          const batch = { ...batchOf(offsets), endOffset: read + BigInt(step.size + step.markers) }
          const placed = await partition.place(batch, async () => 0n)
          assert.equal(placed.kind, 'take')
          const taken = partition.take(batch.records, batch.endOffset)
          assert.ok(taken !== undefined)
          waiting.push(taken)
        }
        assert.ok(partition.next <= partition.read && read <= partition.read)
        assert.equal(partition.next, written)
      }
    }),
  )
})

test('what expired before a batch is counted with it, and again if it was not stored', async () => {
  const partition = new Partition({ partition: 0, nextOffset: 3n, last: null }, READ, { ...END, low: 5n })
  assert.deepEqual([partition.read, partition.expired], [5n, { from: 3n, count: 2 }])
  const taken = partition.take([recordAt(5n)], 6n)
  assert.deepEqual(taken && [taken.from, taken.to, taken.expired], [3n, 6n, 2])
  assert.equal(partition.expired.count, 0)
  assert.ok(taken !== undefined)
  partition.follow(Promise.resolve(false), taken)
  assert.equal(partition.isWaiting, false)
  await Promise.resolve()
  assert.equal(partition.expired.count, 2)
  assert.equal(partition.isWaiting, true)
})

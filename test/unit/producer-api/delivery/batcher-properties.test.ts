import assert from 'node:assert/strict'
import test from 'node:test'
import { setImmediate as macrotask } from 'node:timers/promises'
import fc from 'fast-check'
import { type Ending, OPTIONS, outcomeOf, type Sent, setup } from '../../../support/fake-delivery.ts'

type Step =
  | { do: 'add'; count: number; size: number }
  | { do: 'advance'; ms: number; fire: boolean }
  | { do: 'end'; which: number; ending: Ending }
  | { do: 'partitions'; available: number[] }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('add' as const),
      count: fc.integer({ min: 1, max: 12 }),
      size: fc.integer({ min: 1, max: 1_500 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('advance' as const),
      ms: fc.integer({ min: 0, max: 600 }),
      fire: fc.boolean(),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('end' as const),
      which: fc.nat(5),
      ending: fc.constantFrom<Ending>('ack', 'ack', 'refused', 'timeout', 'forbidden', 'too_large'),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('partitions' as const),
      available: fc.subarray([0, 1, 2, 7]),
    }),
  },
)

test('I1, I7: in every case each entry gets one correct outcome, and the bytes stay bounded', async () => {
  const run = async (steps: Step[], drainAt: number): Promise<void> => {
    const { clock, publisher, batcher, entries, add } = setup()
    let drained: Promise<void> | undefined
    publisher.onSend = (sent) => {
      const indexes = sent.map((entry) => entry.index)
      assert.deepEqual(
        indexes,
        indexes.toSorted((a, b) => a - b),
      )
    }
    for (const [index, next] of steps.entries()) {
      if (index === drainAt) drained = batcher.drain()
      if (next.do === 'add') add(next.count, next.size)
      else if (next.do === 'advance') clock.advance(next.ms, next.fire)
      else if (next.do === 'end') publisher.inFlight[next.which % publisher.inFlight.length]?.end(next.ending)
      else {
        publisher.available = next.available
        batcher.pump()
      }
      await macrotask()
      assert.ok(batcher.queuedBytes <= OPTIONS.maxBufferBytes, 'more bytes than allowed')
      for (const entry of entries) check(entry, clock.time)
      const waiting = entries.filter((entry) => entry.answers === 0).flatMap((entry) => entry.records.ends)
      assert.equal(batcher.waitingEvents, waiting.length)
    }
    // After the last deadline there is nothing to wait for except hanging sends.
    clock.advance(OPTIONS.deliveryTimeoutMs)
    await macrotask()
    for (const send of publisher.inFlight) send.end('ack')
    await macrotask()
    await drained
    for (const entry of entries) {
      check(entry, clock.time)
      assert.equal(entry.answers, 1, 'an entry was not answered exactly once')
    }
    assert.equal(batcher.queuedBytes, 0)
    assert.equal(batcher.queuedEvents, 0)
    assert.equal(clock.timers.size, 0, 'a timer runs although nothing waits')
  }
  await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.nat(80), run), { numRuns: 300 })
})

function check(entry: Sent, now: number): void {
  const outcome = outcomeOf(entry)
  assert.ok(entry.answers <= 1, 'answered twice')
  if (outcome === 'accepted') assert.ok(entry.acked, 'accepted without an acknowledgement')
  else if (outcome === 'unknown') assert.ok(entry.sent, 'unknown, but never sent')
  else if (outcome !== undefined) {
    assert.ok(!entry.acked && !entry.maybeWritten && !entry.inFlight, 'not_accepted, but it may be in Kafka')
  }
  if (outcome === 'timeout')
    assert.ok(now - entry.addedAt >= OPTIONS.deliveryTimeoutMs, 'timed out too early')
}

test('an entry is sent soon if a partition is free, even if timers are late', async () => {
  const run = async (gaps: { ms: number; fire: boolean }[]): Promise<void> => {
    const { clock, publisher, add } = setup()
    for (const gap of gaps) {
      add()
      clock.advance(gap.ms, gap.fire)
      for (const send of publisher.inFlight) send.end('ack')
      await macrotask()
    }
    const last = add()
    clock.advance(OPTIONS.lingerMs)
    for (const send of publisher.inFlight) send.end('ack')
    await macrotask()
    assert.equal(outcomeOf(last), 'accepted')
  }
  const gap = fc.record({ ms: fc.integer({ min: 0, max: 12 }), fire: fc.boolean() })
  await fc.assert(fc.asyncProperty(fc.array(gap, { maxLength: 30 }), run), { numRuns: 200 })
})

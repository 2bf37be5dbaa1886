import assert from 'node:assert/strict'
import test from 'node:test'
import { setImmediate as macrotask } from 'node:timers/promises'
import { outcomeOf, setup } from '../../../support/fake-delivery.ts'

test('entries of one linger are sent together, and answered when Kafka has them', async () => {
  const { clock, publisher, batcher, add } = setup()
  const entries = [add(), add(2), add()]
  clock.advance(4)
  assert.equal(publisher.inFlight.length, 0)
  clock.advance(1)
  assert.deepEqual(publisher.sends, [[0, 1, 2]])
  await macrotask()
  assert.equal(entries[0]?.outcome, undefined)
  publisher.inFlight[0]?.end('ack')
  await macrotask()
  assert.deepEqual(entries.map(outcomeOf), ['accepted', 'accepted', 'accepted'])
  assert.equal(batcher.queuedBytes, 0)
  assert.equal(clock.timers.size, 0, 'a timer runs although nothing waits')
})

test('an entry that arrives after the linger, but before its timer fires, sends the batch', () => {
  const { clock, publisher, add } = setup()
  add()
  clock.advance(6, false)
  add()
  assert.deepEqual(publisher.sends, [[0, 1]])
})

test('while no partition is free the open batch grows, and full ones wait in order', async () => {
  const { clock, publisher, add } = setup()
  publisher.available = [0]
  add()
  clock.advance(5)
  for (let i = 0; i < 12; i++) {
    add()
    clock.advance(5)
  }
  assert.deepEqual(publisher.sends, [[0]])
  publisher.inFlight[0]?.end('ack')
  await macrotask()
  publisher.inFlight[0]?.end('ack')
  await macrotask()
  assert.deepEqual(publisher.sends, [[0], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], [11, 12]])
})

test('a batch never exceeds its limits; a larger entry is sent alone', () => {
  const { clock, publisher, add } = setup()
  add(1, 1_000)
  add(3, 2_000)
  add(1, 1_000)
  clock.advance(5)
  assert.deepEqual(publisher.sends, [[0], [1], [2]])
})

test('a full buffer refuses at once; bytes are counted until the send is settled', async () => {
  const { clock, publisher, batcher, add } = setup({ maxBufferBytes: 40_000 })
  const [first, second] = [add(), add()]
  const third = add()
  await macrotask()
  assert.equal(outcomeOf(third), 'buffer_full')
  clock.advance(1_000, false)
  clock.advance(0)
  await macrotask()
  assert.deepEqual([first, second].map(outcomeOf), ['timeout', 'timeout'])
  assert.equal(batcher.queuedBytes, 0)

  const hanging = add(1, 3_000)
  clock.advance(5)
  clock.advance(1_000)
  await macrotask()
  assert.equal(outcomeOf(hanging), 'unknown')
  assert.ok(batcher.queuedBytes > 3_000)
  publisher.inFlight[0]?.end('timeout')
  await macrotask()
  assert.equal(batcher.queuedBytes, 0)
})

test('an entry whose deadline passes is removed from its batch, and the others are sent', async () => {
  const { clock, publisher, batcher, add } = setup()
  publisher.available = []
  const first = add()
  clock.advance(600)
  const second = add()
  clock.advance(400)
  await macrotask()
  assert.deepEqual([first, second].map(outcomeOf), ['timeout', undefined])
  publisher.available = [0]
  batcher.pump()
  assert.deepEqual(publisher.sends, [[1]])
  publisher.inFlight[0]?.end('ack')
  await macrotask()
  assert.equal(outcomeOf(second), 'accepted')
  assert.equal(batcher.queuedBytes, 0)
})

test('the deadline of an entry is kept if earlier entries were answered early', async () => {
  const { clock, publisher, add } = setup()
  add()
  clock.advance(500)
  const second = add()
  clock.advance(5)
  publisher.inFlight.find((send) => send.partition === 0)?.end('ack')
  clock.advance(994)
  await macrotask()
  assert.equal(outcomeOf(second), undefined)
  clock.advance(1)
  await macrotask()
  assert.equal(outcomeOf(second), 'unknown')
})

test('a batch that is too large is split until single entries remain', async () => {
  const { clock, publisher, add } = setup()
  const entries = [add(), add(), add()]
  clock.advance(5)
  publisher.inFlight[0]?.end('too_large')
  await macrotask()
  assert.deepEqual(publisher.sends, [[0, 1, 2], [0, 1], [2]])
  publisher.inFlight.find((send) => send.entries.length === 1)?.end('too_large')
  publisher.inFlight.find((send) => send.entries.length === 2)?.end('ack')
  await macrotask()
  assert.deepEqual(entries.map(outcomeOf), ['accepted', 'accepted', 'too_large_for_kafka'])
})

test('refused connections until the deadline are not_accepted, a lost response is unknown', async () => {
  for (const [ending, expected] of [
    ['refused', 'timeout'],
    ['timeout', 'unknown'],
  ] as const) {
    const { clock, publisher, add } = setup()
    const entry = add()
    clock.advance(5)
    publisher.inFlight[0]?.end(ending)
    await macrotask()
    publisher.available = []
    clock.advance(1_000)
    await macrotask()
    assert.equal(outcomeOf(entry), expected)
    assert.equal(publisher.sends.length, 1)
    assert.equal(clock.timers.size, 0)
  }
})

test('drain() accepts nothing more, does not linger, and resolves when everything is answered', async () => {
  const { clock, publisher, batcher, add } = setup()
  const entry = add()
  let drained = false
  void batcher.drain().then(() => {
    drained = true
  })
  const late = add()
  await macrotask()
  assert.equal(outcomeOf(late), 'shutting_down')
  assert.equal(publisher.sends.length, 1)
  assert.equal(drained, false)
  publisher.inFlight[0]?.end('ack')
  await macrotask()
  assert.equal(outcomeOf(entry), 'accepted')
  assert.equal(drained, true)
  assert.equal(clock.timers.size, 0)
})

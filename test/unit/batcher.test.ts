import assert from 'node:assert/strict'
import test from 'node:test'
import { setImmediate as macrotask } from 'node:timers/promises'
import fc from 'fast-check'
import { Batcher, type BatcherOptions } from '../../producer-api/batcher.ts'
import { type Clock, type Outcome, PublishError, type Publisher } from '../../producer-api/delivery.ts'

class FakeClock implements Clock {
  time = 0
  timers = new Map<number, { at: number; callback: () => void }>()
  #ids = 0

  now(): number {
    return this.time
  }

  after(ms: number, callback: () => void): () => void {
    const id = this.#ids++
    this.timers.set(id, { at: this.time + ms, callback })
    return () => this.timers.delete(id)
  }

  /** Time passes; timers fire only with `fire`: a busy event loop has time without timers. */
  advance(ms: number, fire = true): void {
    this.time += ms
    if (!fire) return
    for (;;) {
      const due = [...this.timers].filter(([, timer]) => timer.at <= this.time)
      const next = due.toSorted(([, a], [, b]) => a.at - b.at)[0]
      if (next === undefined) return
      this.timers.delete(next[0])
      next[1].callback()
    }
  }
}

type Ending = 'ack' | 'refused' | 'timeout' | 'forbidden' | 'too_large'

class FakePublisher implements Publisher {
  available: number[] = [0, 1, 2]
  inFlight: { partition: number; entries: Sent[]; end: (ending: Ending) => void }[] = []
  sends: number[][] = []
  onSend: (entries: Sent[], records: readonly Buffer[]) => void = () => {}
  readonly #byRecord: Map<Buffer, Sent>

  constructor(byRecord: Map<Buffer, Sent>) {
    this.#byRecord = byRecord
  }

  connect(): void {}
  async close(): Promise<void> {}
  availablePartitions(): readonly number[] {
    return this.available
  }

  publish(partition: number, records: readonly Buffer[]): Promise<void> {
    assert.ok(this.available.includes(partition), 'sent to a partition that is not available')
    assert.ok(!this.inFlight.some((send) => send.partition === partition), 'two sends to one partition')
    const entries = [...new Set(records.map((record) => this.#byRecord.get(record)))].filter(
      (entry) => !!entry,
    )
    assert.deepEqual(
      records,
      entries.flatMap((entry) => entry.records),
      'an entry was split, or its order changed',
    )
    this.sends.push(entries.map((entry) => entry.index))
    for (const entry of entries) {
      assert.equal(entry.outcome, undefined, 'an answered entry was sent')
      entry.inFlight = true
      entry.sent = true
    }
    this.onSend(entries, records)
    return new Promise((resolve, reject) => {
      const send = {
        partition,
        entries,
        end: (ending: Ending) => {
          this.inFlight = this.inFlight.filter((other) => other !== send)
          for (const entry of entries) {
            entry.inFlight = false
            if (ending === 'ack') entry.acked = true
            if (ending === 'timeout') entry.maybeWritten = true
          }
          if (ending === 'ack') resolve()
          else reject(failures[ending])
        },
      }
      this.inFlight.push(send)
    })
  }
}

const fails = (code: string, retryable: boolean, mayHaveWritten: boolean, tooLarge = false): PublishError =>
  new PublishError(code, { code, retryable, mayHaveWritten, tooLarge })
const failures = {
  refused: fails('ECONNREFUSED', true, false),
  timeout: fails('REQUEST_TIMED_OUT', true, true),
  forbidden: fails('TOPIC_AUTHORIZATION_FAILED', false, false),
  too_large: fails('MESSAGE_TOO_LARGE', false, false, true),
}

interface Sent {
  index: number
  records: Buffer[]
  addedAt: number
  inFlight: boolean
  sent: boolean
  acked: boolean
  maybeWritten: boolean
  answers: number
  outcome: Outcome | undefined
}

const OPTIONS: BatcherOptions = {
  lingerMs: 5,
  maxBytes: 4_000,
  maxEvents: 10,
  maxBufferBytes: 60_000,
  deliveryTimeoutMs: 1_000,
}

function setup(options: Partial<BatcherOptions> = {}) {
  const all = { ...OPTIONS, ...options }
  const clock = new FakeClock()
  const byRecord = new Map<Buffer, Sent>()
  const publisher = new FakePublisher(byRecord)
  const batcher = new Batcher(all, publisher, clock)
  const entries: Sent[] = []
  const add = (count = 1, size = 20): Sent => {
    const records = Array.from({ length: count }, () => Buffer.alloc(size))
    const entry: Sent = {
      index: entries.length,
      records,
      addedAt: clock.time,
      inFlight: false,
      sent: false,
      acked: false,
      maybeWritten: false,
      answers: 0,
      outcome: undefined,
    }
    entries.push(entry)
    for (const record of records) byRecord.set(record, entry)
    void batcher.add(records).then((outcome) => {
      entry.answers += 1
      entry.outcome = outcome
    })
    return entry
  }
  return { clock, publisher, batcher, entries, add }
}

const outcomeOf = (entry: Sent): string | undefined =>
  entry.outcome?.kind === 'not_accepted' ? entry.outcome.reason : entry.outcome?.kind

test('entries of one linger go in one send, and are answered when Kafka has them', async () => {
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

test('an entry that comes when the linger is over but its timer has not fired sends the batch', () => {
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

test('a batch never grows past its limits; a larger entry goes alone', () => {
  const { clock, publisher, add } = setup()
  add(1, 1_000)
  add(3, 2_000)
  add(1, 1_000)
  clock.advance(5)
  assert.deepEqual(publisher.sends, [[0], [1], [2]])
})

test('a full buffer refuses at once; bytes count until the send settles', async () => {
  const { clock, publisher, batcher, add } = setup({ maxBufferBytes: 10_000 })
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

test('an entry whose deadline passes leaves its batch, and the others go', async () => {
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

test('the deadline of an entry holds when the ones before it were answered early', async () => {
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

test('a batch that is too large is halved until single entries remain', async () => {
  const { clock, publisher, add } = setup()
  const entries = [add(), add(), add()]
  clock.advance(5)
  publisher.inFlight[0]?.end('too_large')
  await macrotask()
  assert.deepEqual(publisher.sends, [[0, 1, 2], [0, 1], [2]])
  publisher.inFlight.find((send) => send.entries.length === 1)?.end('too_large')
  publisher.inFlight.find((send) => send.entries.length === 2)?.end('ack')
  await macrotask()
  assert.deepEqual(entries.map(outcomeOf), ['accepted', 'accepted', 'too_large'])
})

test('a refused connection until the deadline is not_accepted, a lost answer unknown', async () => {
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

test('drain takes nothing more, does not linger, and resolves when all is answered', async () => {
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

test('I1, I7: whatever happens, every entry is answered once and truly, and the bytes stay bounded', async () => {
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
    }
    // Nothing is left to wait for after the last deadline, but for sends that hang.
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
  if (outcome === 'timeout') assert.ok(now - entry.addedAt >= OPTIONS.deliveryTimeoutMs, 'given up too early')
}

test('an entry is sent soon when a partition is free, whichever timers were missed', async () => {
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

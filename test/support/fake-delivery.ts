import assert from 'node:assert/strict'
import { Batcher, type BatcherOptions } from '../../producer-api/delivery/batcher.ts'
import { PublishError } from '../../producer-api/errors.ts'
import {
  type Clock,
  type Outcome,
  type Published,
  type Publisher,
} from '../../producer-api/delivery/publisher.ts'
import type { Records } from '../../event/record/records.ts'
import { recordsOf } from './records-of.ts'

export class FakeClock implements Clock {
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

  /** Advances the time; fires timers only with `fire`, because on a busy event loop time passes without timers. */
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

export type Ending = 'ack' | 'refused' | 'timeout' | 'forbidden' | 'too_large'

export class FakePublisher implements Publisher {
  available: number[] = [0, 1, 2]
  inFlight: { partition: number; entries: Sent[]; end: (ending: Ending) => void }[] = []
  sends: number[][] = []
  onSend: (entries: Sent[], requests: readonly Records[]) => void = () => {}
  readonly #byRecords: Map<Records, Sent>

  constructor(byRecords: Map<Records, Sent>) {
    this.#byRecords = byRecords
  }

  connect(): void {}
  async close(): Promise<void> {}
  availablePartitions(): readonly number[] {
    return this.available
  }

  publish(partition: number, requests: readonly Records[]): Promise<Published> {
    assert.ok(this.available.includes(partition), 'sent to a partition that is not available')
    assert.ok(!this.inFlight.some((send) => send.partition === partition), 'two sends to one partition')
    const entries = requests.map((records) => this.#byRecords.get(records)).filter((entry) => !!entry)
    assert.equal(new Set(entries).size, requests.length, 'an entry was split, or sent twice')
    this.sends.push(entries.map((entry) => entry.index))
    for (const entry of entries) {
      assert.equal(entry.outcome, undefined, 'an answered entry was sent')
      entry.inFlight = true
      entry.sent = true
    }
    this.onSend(entries, requests)
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
          if (ending === 'ack') resolve({ baseOffset: 0n })
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

export interface Sent {
  index: number
  records: Records
  addedAt: number
  inFlight: boolean
  sent: boolean
  acked: boolean
  maybeWritten: boolean
  answers: number
  outcome: Outcome | undefined
}

export const OPTIONS: BatcherOptions = {
  lingerMs: 5,
  maxBytes: 4_000,
  maxEvents: 10,
  maxBufferBytes: 240_000,
  deliveryTimeoutMs: 1_000,
}

export function setup(options: Partial<BatcherOptions> = {}) {
  const all = { ...OPTIONS, ...options }
  const clock = new FakeClock()
  const byRecords = new Map<Records, Sent>()
  const publisher = new FakePublisher(byRecords)
  const batcher = new Batcher(all, publisher, clock)
  const entries: Sent[] = []
  const add = (count = 1, size = 20): Sent => {
    const records = recordsOf(...Array.from({ length: count }, () => Buffer.alloc(size)))
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
    byRecords.set(records, entry)
    void batcher.add(records).then((outcome) => {
      entry.answers += 1
      entry.outcome = outcome
    })
    return entry
  }
  return { clock, publisher, batcher, entries, add }
}

export const outcomeOf = (entry: Sent): string | undefined =>
  entry.outcome?.kind === 'not_accepted' ? entry.outcome.reason : entry.outcome?.kind

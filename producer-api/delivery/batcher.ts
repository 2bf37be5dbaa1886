import { RECORD_OVERHEAD_BYTES } from '../../event/limits.ts'
import { Batch, type BatchLimits, type Entry } from './batch.ts'
import { Deadlines } from './deadlines.ts'
import type { PublishError } from '../errors.ts'
import type { Clock, Outcome, Publisher } from './publisher.ts'
import { type Backoff, backoffMs } from '../../platform/backoff.ts'
import { asPublishError, causeOf, failure } from './failures.ts'
import { REQUEST_OVERHEAD_BYTES } from '../memory-budget.ts'
import { PartitionTurns } from './partition-turns.ts'
import { NO_RECORDS, type Records } from '../../event/record/records.ts'

export interface BatcherOptions extends BatchLimits {
  /** How long the first entry of a batch waits for more. */
  lingerMs: number
  /** Limit for the bytes of all entries that are not settled. */
  maxBufferBytes: number
  /** The longest time from the arrival of an entry to its outcome. */
  deliveryTimeoutMs: number
}

/** Totals since the process started. */
export interface BatcherCounts {
  batchesSent: number
  sendFailures: number
  eventsAcknowledged: number
}

const RESEND: Backoff = { firstMs: 50, lastMs: 1_000 }
/** Estimated size of the objects that the Kafka client allocates for one record. */
const RECORD_OBJECTS_BYTES = 256

/**
 * The buffer between HTTP and Kafka.
 *
 * Entries are collected in one open batch. It is closed when it is full, or when its linger has passed and a partition
 * is free. While all partitions are busy it keeps growing, so a slow Kafka gets larger batches rather than more of
 * them. At most one send per partition is in flight. A failed batch is sent again with the same bytes, to any
 * partition, until the deadlines of its entries; the sink removes duplicates.
 */
export class Batcher {
  readonly counts: BatcherCounts = { batchesSent: 0, sendFailures: 0, eventsAcknowledged: 0 }
  readonly #options: BatcherOptions
  readonly #publisher: Publisher
  readonly #clock: Clock
  readonly #deadlines: Deadlines
  readonly #partitions = new PartitionTurns()
  #open: Batch | undefined
  /** Closed batches, oldest first, with failed ones at the front. */
  #closed: Batch[] = []
  #queuedBytes = 0
  #queuedEvents = 0
  #waitingEvents = 0
  #waitingEntries = 0
  #cancelWake: (() => void) | undefined
  #wakeAt = Number.POSITIVE_INFINITY
  #onDrained: (() => void) | undefined
  #draining = false

  constructor(options: BatcherOptions, publisher: Publisher, clock: Clock) {
    this.#options = options
    this.#publisher = publisher
    this.#clock = clock
    this.#deadlines = new Deadlines(clock, (entry) => this.#expire(entry))
  }

  /** Bytes that count against the limit. Includes requests already answered whose send is still in flight. */
  get queuedBytes(): number {
    return this.#queuedBytes
  }

  /** Events that are not settled, whether or not their request has been answered. */
  get queuedEvents(): number {
    return this.#queuedEvents
  }

  /** Events of requests that have not been answered. */
  get waitingEvents(): number {
    return this.#waitingEvents
  }

  get isFull(): boolean {
    return this.#queuedBytes >= this.#options.maxBufferBytes
  }

  /**
   * Queues the records of one request. Resolves at the deadline at the latest; never rejects.
   *
   * @param records never modified, copied or split over several sends
   * @param headBytes memory of the request's URL and headers, which is held until the request is answered
   */
  add(records: Records, headBytes = 0): Promise<Outcome> {
    if (this.#draining) return Promise.resolve({ kind: 'not_accepted', reason: 'shutting_down' })
    const events = records.ends.length
    const sendBytes = events * RECORD_OVERHEAD_BYTES + records.bytes.length
    const heldBytes = REQUEST_OVERHEAD_BYTES + headBytes + events * RECORD_OBJECTS_BYTES + sendBytes
    if (this.#queuedBytes + heldBytes > this.#options.maxBufferBytes) {
      return Promise.resolve({ kind: 'not_accepted', reason: 'buffer_full' })
    }
    return new Promise((answer) => {
      const entry: Entry = {
        records,
        events,
        sendBytes,
        heldBytes,
        deadlineAt: this.#clock.now() + this.#options.deliveryTimeoutMs,
        answer,
        mayHaveWritten: false,
        cause: undefined,
        batch: undefined,
        before: undefined,
        after: undefined,
      }
      this.#queuedBytes += heldBytes
      this.#queuedEvents += events
      this.#waitingEvents += events
      this.#waitingEntries += 1
      this.#deadlines.add(entry)
      this.#enqueue(entry)
    })
  }

  /** Sends every batch that is due while partitions are free. Call it when a partition may have become available. */
  pump(): void {
    const now = this.#clock.now()
    // Entries past their deadline must not be sent.
    this.#deadlines.expire(now)
    for (let batch = this.#next(now); batch !== undefined; batch = this.#next(now)) {
      const partition = this.#partitions.take(this.#publisher.availablePartitions())
      if (partition === undefined) break
      this.#take(batch)
      void this.#send(batch, partition)
    }
    this.#scheduleWake(now)
  }

  /** Stops accepting entries and sends the rest without lingering. Resolves when every request has been answered. */
  drain(): Promise<void> {
    this.#draining = true
    this.#closeOpen(this.#clock.now())
    this.pump()
    if (this.#waitingEntries === 0) return Promise.resolve()
    return new Promise((resolve) => {
      this.#onDrained = resolve
    })
  }

  #enqueue(entry: Entry): void {
    const now = this.#clock.now()
    if (this.#open !== undefined && !this.#open.fits(entry, this.#options)) this.#closeOpen(now)
    this.#open ??= new Batch(now + this.#options.lingerMs)
    this.#open.add(entry)
    if (this.#open.isFull(this.#options)) this.#closeOpen(now)
    // The linger may have passed although its timer has not fired yet, so check the clock.
    if (this.#next(now) === undefined) this.#scheduleWake(now)
    else this.pump()
  }

  #closeOpen(now: number): void {
    if (this.#open === undefined) return
    this.#open.readyAt = now
    this.#closed.push(this.#open)
    this.#open = undefined
  }

  /** The next batch to send: closed ones first, then the open one if its linger has passed. */
  #next(now: number): Batch | undefined {
    return (
      this.#closed.find((batch) => batch.readyAt <= now) ??
      (this.#open !== undefined && this.#open.readyAt <= now ? this.#open : undefined)
    )
  }

  #take(batch: Batch): void {
    if (batch === this.#open) this.#open = undefined
    else if (batch === this.#closed[0]) this.#closed.shift()
    else this.#closed = this.#closed.filter((other) => other !== batch)
  }

  async #send(batch: Batch, partition: number): Promise<void> {
    batch.compact()
    batch.sending = true
    this.counts.batchesSent += 1
    try {
      await this.#publisher.publish(partition, batch.records())
      this.counts.eventsAcknowledged += batch.events
      for (const entry of batch.entries) this.#finish(entry, { kind: 'accepted' })
    } catch (error) {
      this.counts.sendFailures += 1
      this.#afterFailure(batch, asPublishError(error))
    }
    this.#partitions.giveBack(partition)
    this.pump()
  }

  #afterFailure(batch: Batch, error: PublishError): void {
    batch.sending = false
    for (const entry of batch.entries) {
      entry.mayHaveWritten ||= error.mayHaveWritten
      entry.cause = error
      // The deadline passed while the send was in flight: the request was answered, only its memory was still held.
      if (entry.answer === undefined) {
        batch.remove(entry)
        this.#release(entry)
      }
    }
    batch.compact()
    if (batch.size === 0) return
    if (error.tooLarge && batch.size > 1) {
      this.#closed.unshift(...batch.halves())
    } else if (error.retryable) {
      batch.failures += 1
      batch.readyAt = this.#clock.now() + backoffMs(RESEND, batch.failures - 1)
      this.#closed.unshift(batch)
    } else {
      const reason = error.tooLarge ? 'too_large_for_kafka' : 'refused'
      for (const entry of batch.entries) this.#finish(entry, failure(entry, reason))
    }
  }

  #expire(entry: Entry): void {
    const batch = entry.batch
    if (batch?.sending) {
      this.#answer(entry, { kind: 'unknown', ...causeOf(entry) })
      return
    }
    this.#finish(entry, failure(entry, 'timeout'))
    batch?.remove(entry)
    if (batch?.size === 0) this.#take(batch)
  }

  /** Answers the request, unless that was done, and releases its memory. No send of it may be in flight. */
  #finish(entry: Entry, outcome: Outcome): void {
    this.#answer(entry, outcome)
    this.#release(entry)
  }

  #answer(entry: Entry, outcome: Outcome): void {
    if (entry.answer === undefined) return
    entry.answer(outcome)
    entry.answer = undefined
    this.#deadlines.remove(entry)
    this.#waitingEvents -= entry.events
    this.#waitingEntries -= 1
    if (this.#waitingEntries === 0) this.#onDrained?.()
  }

  #release(entry: Entry): void {
    this.#queuedBytes -= entry.heldBytes
    this.#queuedEvents -= entry.events
    entry.records = NO_RECORDS
  }

  /**
   * Sets one timer for the linger and all backoffs, or none if there is nothing to wait for. Batches that are already
   * due need no timer: they wait for a partition, and pump() is called when one becomes free.
   */
  #scheduleWake(now: number): void {
    let wakeAt = Number.POSITIVE_INFINITY
    for (const batch of this.#open === undefined ? this.#closed : [...this.#closed, this.#open]) {
      if (batch.readyAt > now) wakeAt = Math.min(wakeAt, batch.readyAt)
    }
    if (wakeAt === this.#wakeAt) return
    this.#cancelWake?.()
    this.#cancelWake = undefined
    this.#wakeAt = wakeAt
    if (wakeAt === Number.POSITIVE_INFINITY) return
    this.#cancelWake = this.#clock.after(Math.max(1, Math.ceil(wakeAt - now)), () => {
      this.#cancelWake = undefined
      this.#wakeAt = Number.POSITIVE_INFINITY
      this.pump()
    })
  }
}

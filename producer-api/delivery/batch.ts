import type { Outcome } from './publisher.ts'
import type { Records } from '../../event/record/records.ts'

/** The records of one request on their way to Kafka. They are accepted or refused together. */
export interface Entry {
  /** NO_RECORDS once they are no longer needed. */
  records: Records
  readonly events: number
  /** Size of the records in a produce request, in bytes. */
  readonly sendBytes: number
  /** Bytes that the whole request counts against the buffer limit. */
  readonly heldBytes: number
  /** In milliseconds of the batcher's clock. */
  readonly deadlineAt: number
  /** Undefined once the request has been answered. */
  answer: ((outcome: Outcome) => void) | undefined
  /** True after a failed send that may still have written the records to Kafka. */
  mayHaveWritten: boolean
  /** The most recent failure. */
  cause: Error | undefined
  batch: Batch | undefined
  /** Links of the linked list in Deadlines. */
  before: Entry | undefined
  after: Entry | undefined
}

export interface BatchLimits {
  maxBytes: number
  maxEvents: number
}

/** Entries that are sent to one partition in one produce request. */
export class Batch {
  /** Oldest first. Removed entries stay in the array until compact(). */
  entries: Entry[] = []
  /** Number of entries, not counting removed ones; `events` and `bytes` are their totals. */
  size = 0
  events = 0
  bytes = 0
  /** True while a send is in flight. */
  sending = false
  /** Number of failed sends. */
  failures = 0
  /** The earliest time to send: the end of the linger, or of the backoff after a failure. */
  readyAt: number

  constructor(readyAt: number) {
    this.readyAt = readyAt
  }

  /** Not called for an empty batch: a single entry is accepted at any size, because entries are never split. */
  fits(entry: Entry, limits: BatchLimits): boolean {
    return this.bytes + entry.sendBytes <= limits.maxBytes && this.events + entry.events <= limits.maxEvents
  }

  isFull(limits: BatchLimits): boolean {
    return this.bytes >= limits.maxBytes || this.events >= limits.maxEvents
  }

  add(entry: Entry): void {
    entry.batch = this
    this.entries.push(entry)
    this.#count(entry, 1)
  }

  /** Removes an entry whose request was answered before it was sent. */
  remove(entry: Entry): void {
    entry.batch = undefined
    this.#count(entry, -1)
    // Compacting on every removal would be quadratic: wait until half of the array is stale.
    if (this.entries.length > 2 * this.size + 16) this.compact()
  }

  /** Drops removed entries from the array. */
  compact(): void {
    this.entries = this.entries.filter((entry) => entry.batch === this)
  }

  records(): Records[] {
    return this.entries.map((entry) => entry.records)
  }

  /** Splits the batch into two with half of the entries each. Entries are never split. */
  halves(): [Batch, Batch] {
    const halves: [Batch, Batch] = [new Batch(this.readyAt), new Batch(this.readyAt)]
    const middle = Math.ceil(this.entries.length / 2)
    this.entries.forEach((entry, index) => halves[index < middle ? 0 : 1].add(entry))
    return halves
  }

  #count(entry: Entry, sign: 1 | -1): void {
    this.size += sign
    this.events += sign * entry.events
    this.bytes += sign * entry.sendBytes
  }
}

import type { Outcome } from './publisher.ts'
import type { Records } from '../../event/record/records.ts'

/** One request's records on their way to Kafka: they share one fate. */
export interface Entry {
  /** NO_RECORDS when they are no longer needed. */
  records: Records
  readonly events: number
  /** What they take in a send. */
  readonly sendBytes: number
  /** What the whole request counts against the buffer's limit. */
  readonly heldBytes: number
  /** On the buffer's clock. */
  readonly deadlineAt: number
  /** Undefined once the request has been answered. */
  answer: ((outcome: Outcome) => void) | undefined
  /** A send of these records failed in a way that leaves open whether Kafka has them. */
  mayHaveWritten: boolean
  /** The last failure. */
  cause: Error | undefined
  batch: Batch | undefined
  /** Links of the list of deadlines. */
  before: Entry | undefined
  after: Entry | undefined
}

export interface BatchLimits {
  maxBytes: number
  maxEvents: number
}

/** Entries that go to one partition in one send. */
export class Batch {
  /** Oldest first; some may have been answered since (`remove`). */
  entries: Entry[] = []
  /** Of the entries that wait for an answer: their number, events and bytes in a send. */
  size = 0
  events = 0
  bytes = 0
  /** Handed to Kafka, not settled yet. */
  sending = false
  /** Failed sends so far. */
  failures = 0
  /** When it may be sent: the end of its linger, later of its backoff. */
  readyAt: number

  constructor(readyAt: number) {
    this.readyAt = readyAt
  }

  /** Not asked of an empty batch: a lone entry is taken at any size, for it is never split. */
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

  /** Takes out an entry that was answered before it was sent. */
  remove(entry: Entry): void {
    entry.batch = undefined
    this.#count(entry, -1)
    // Removing each at once would cost a pass each: wait until half of them are gone.
    if (this.entries.length > 2 * this.size + 16) this.compact()
  }

  /** Drops what is no longer in this batch. */
  compact(): void {
    this.entries = this.entries.filter((entry) => entry.batch === this)
  }

  records(): Records[] {
    return this.entries.map((entry) => entry.records)
  }

  /** Two batches of half the entries each; entries stay whole. */
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

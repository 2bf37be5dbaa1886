import type { DecodedRow } from '../event/record/decoded.ts'
import { POSTGRES_EPOCH_MS } from '../event/timestamp.ts'

/** An observation is forgotten after this time at the earliest, and after twice this time at the latest. */
const PERIOD_MS = 60_000

/** In seconds. */
export interface DelayRange {
  min: number
  max: number
}

/**
 * When Kafka appended records, by its clock, less when the API received their events, by the API's: how long they were on
 * their way, plus the difference of the two clocks. Only if the topic has message.timestamp.type=LogAppendTime.
 */
export class AppendDelay {
  #current: DelayRange | undefined
  #previous: DelayRange | undefined
  #sinceMs = 0

  /** Looks at the first and the last row of a batch only: to look at each would cost more than decoding some fields. */
  observe(rows: readonly DecodedRow[], nowMs = Date.now()): void {
    this.#turn(nowMs)
    for (const each of [rows[0], rows.at(-1)]) {
      if (each === undefined) continue
      const receivedMs = Number(each.row.receivedAt) / 1_000 + POSTGRES_EPOCH_MS
      const delay = (each.record.timestampMs - receivedMs) / 1_000
      this.#current = widest(this.#current, { min: delay, max: delay })
    }
  }

  /** The least and the greatest of the latest one to two minutes; undefined if there was none. */
  read(nowMs = Date.now()): DelayRange | undefined {
    this.#turn(nowMs)
    return widest(this.#current, this.#previous)
  }

  #turn(nowMs: number): void {
    const ageMs = nowMs - this.#sinceMs
    if (ageMs < PERIOD_MS && ageMs >= 0) return
    this.#previous = ageMs < 2 * PERIOD_MS && ageMs >= 0 ? this.#current : undefined
    this.#current = undefined
    this.#sinceMs = nowMs
  }
}

function widest(one: DelayRange | undefined, other: DelayRange | undefined): DelayRange | undefined {
  if (one === undefined || other === undefined) return one ?? other
  return { min: Math.min(one.min, other.min), max: Math.max(one.max, other.max) }
}

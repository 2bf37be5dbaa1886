import { type Rate, tatAfter, waitMs } from './gcra.ts'
import { keyedHash } from './keyed-hash.ts'

/**
 * Buckets in a table. More than there are clients that are busy at the same time: of a thousand that are over their limit,
 * each client that is not shares a slot with a probability of 0.4 %. A table takes 2 MiB.
 */
export const SLOTS = 2 ** 18

/**
 * A bucket for each name, for any number of names, in memory of fixed size: a name's slot is its hash, and names that have
 * the same slot share a bucket. Each table has a random key, so in another process, or after a restart, others share.
 */
export class Slots {
  readonly rate: Rate
  readonly #tatsMs = new Float64Array(SLOTS)
  readonly #hash = keyedHash()

  constructor(rate: Rate) {
    this.rate = rate
  }

  /**
   * Takes `n` from the bucket of a name, or nothing if they do not fit.
   *
   * @returns 0 if they were taken, else how long to wait, in milliseconds
   */
  take(name: string, n: number, nowMs: number): number {
    const slot = this.#hash(name) & (SLOTS - 1)
    const tatMs = this.#tatsMs[slot]!
    const wait = waitMs(tatMs, nowMs, n, this.rate)
    if (wait === 0) this.#tatsMs[slot] = tatAfter(tatMs, nowMs, n, this.rate)
    return wait
  }
}

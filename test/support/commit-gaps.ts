import type pg from 'pg'
import { connectAs } from './sink-faults.ts'

/** Watches the time between the commits of sinks, by a connection of its own, which looks every few milliseconds. */
export class CommitGaps {
  readonly #client: pg.Client
  readonly #watching: Promise<void>
  #isStopped = false
  #longestMs = 0

  private constructor(client: pg.Client) {
    this.#client = client
    this.#watching = this.#watch()
  }

  static async start(connectionString: string): Promise<CommitGaps> {
    return new CommitGaps(await connectAs(connectionString))
  }

  /** @returns the longest time between two commits, in milliseconds */
  async stop(): Promise<number> {
    this.#isStopped = true
    await this.#watching
    await this.#client.end()
    return Math.round(this.#longestMs)
  }

  async #watch(): Promise<void> {
    let seen: string | undefined
    let sinceMs: number | undefined
    while (!this.#isStopped) {
      const { rows } = await this.#client.query<{ stored: string }>(
        'SELECT sum(next_offset)::text AS stored FROM sink_offsets, pg_sleep(0.005)',
      )
      const stored = rows[0]?.stored
      if (stored === seen) continue
      const nowMs = performance.now()
      if (sinceMs !== undefined) this.#longestMs = Math.max(this.#longestMs, nowMs - sinceMs)
      if (seen !== undefined) sinceMs = nowMs
      seen = stored
    }
  }
}

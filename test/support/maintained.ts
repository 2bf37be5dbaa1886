import pg from 'pg'
import type { Action, Policy } from '../../maintenance/maintenance.ts'
import { runOnce, type RunOptions, type RunResult } from '../../maintenance/run.ts'
import { migrate } from '../../postgres/migrate.ts'
import { partitionName, rangeAt, UNIT_MS } from '../../postgres/partitions/ranges.ts'
import { ask } from '../../tools/stack/ask.ts'
import { createDatabase } from './databases.ts'

/** The default: days, without retention. */
export const KEEP_ALL: Policy = {
  unit: 'day',
  userIndex: 'immediate',
  retentionDays: undefined,
  deadLetterDays: undefined,
}

/** So many rows of 7 kB, one for each page, are more than 128 MiB. */
export const LARGE_ROWS = 17_000

/** A new installation in a database of its own, and what maintenance does to it. Days are counted from today, UTC. */
export class Maintained {
  readonly url: string
  readonly policy: Policy
  readonly #noonMs = rangeAt('day', Date.now()).fromMs + UNIT_MS.day / 2
  #rows = 0

  constructor(url: string, policy: Policy) {
    this.url = url
    this.policy = policy
  }

  /** @param server of a superuser */
  static async create(server: string, name: string, change: Partial<Policy> = {}): Promise<Maintained> {
    const url = await createDatabase(server, name)
    const policy = { ...KEEP_ALL, ...change }
    await migrate(url, { partitioning: policy.unit, userIndex: policy.userIndex })
    return new Maintained(url, policy)
  }

  async query<R extends Record<string, unknown>>(sql: string, limitMs = 60_000): Promise<R[]> {
    return await ask<R>(this.url, sql, { limitMs })
  }

  /** The first value of the first row. */
  async value(sql: string): Promise<unknown> {
    return Object.values((await this.query(sql))[0] ?? {})[0]
  }

  /** Noon of a day. @returns milliseconds since 1970 */
  noon(day: number): number {
    return this.#noonMs + day * UNIT_MS.day
  }

  leaf(day: number): string {
    return partitionName(rangeAt('day', this.noon(day)))
  }

  /** Stores events with ids of noon of that day. @param metadata as SQL */
  async store(day: number, count: number, metadata = `'{}'`): Promise<void> {
    await this.query(this.insert(day, count, metadata))
  }

  /** The same as SQL, which must be run once. */
  insert(day: number, count: number, metadata = `'{}'`): string {
    const first = this.#rows
    this.#rows += count
    return `INSERT INTO events (event_id, user_id, "timestamp", metadata, received_at)
       SELECT (lpad(to_hex(${this.noon(day)}), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0'))::uuid, n,
         to_timestamp(${this.noon(day)} / 1000), ${metadata}, now()
       FROM generate_series(${first + 1}, ${this.#rows}) AS n`
  }

  /** That each event is in the table exactly once: the number of events minus that of stored ones, twice or not. */
  async lost(): Promise<number> {
    const count = await this.value('SELECT count(DISTINCT user_id)::int + count(*)::int FROM events')
    return 2 * this.#rows - Number(count)
  }

  async rowsOf(table: string): Promise<number> {
    return Number(await this.value(`SELECT count(*)::int FROM ONLY ${table}`))
  }

  /**
   * Makes `events_stray` too large for an ATTACH to read it, with events of a day that is far ahead. (Only what is not TOASTed
   * counts.)
   */
  async growStray(): Promise<void> {
    await this.query('ALTER TABLE events_stray ALTER COLUMN metadata SET STORAGE PLAIN')
    await this.store(300, LARGE_ROWS, `jsonb_build_object('text', repeat('x', 7000))`)
  }

  /** A run of maintenance at noon of that day. */
  async maintain(day: number, change: Partial<RunOptions> = {}): Promise<RunResult> {
    return await runOnce({
      connectionString: this.url,
      policy: this.policy,
      dryRun: false,
      nowMs: this.noon(day),
      report: () => {},
      signal: new AbortController().signal,
      ...change,
    })
  }
}

/** @param kind all by default */
export function textsOf(actions: readonly Action[], kind?: Action['kind']): string[] {
  return actions.filter((action) => kind === undefined || action.kind === kind).map(({ text }) => text)
}

/** Stores events without a leaf, one after another. @returns the longest that one of them took, in ms, once it is stopped */
export function keepWriting(table: Maintained): { stop: () => Promise<number> } {
  const over = new AbortController()
  const written = (async (): Promise<number> => {
    const client = new pg.Client({ connectionString: table.url })
    await client.connect()
    let longestMs = 0
    while (!over.signal.aborted) {
      const beganMs = performance.now()
      await client.query(table.insert(50, 1))
      longestMs = Math.max(longestMs, performance.now() - beganMs)
    }
    await client.end()
    return longestMs
  })()
  return {
    stop: async () => {
      over.abort()
      return await written
    },
  }
}

import { setTimeout as timeout } from 'node:timers/promises'
import { Client } from 'pg'
import { EventMaker } from '../../k6/lib/event.ts'
import type { Report } from '../../k6/lib/report.ts'
import type { NotAcknowledged } from './k6-output.ts'
import { COUNT_MISSING, JUDGE, SETTINGS } from './k6-sql.ts'
import {
  conclude,
  expectationOf,
  type K6Expectation,
  type K6Outcome,
  type K6Range,
  type K6Verdict,
} from './k6-verdict.ts'

export interface K6CompareOptions {
  databaseUrl: string
  report: Report
  failed: readonly NotAcknowledged[]
  interrupted: number
  /** Waiting ends when nothing has been stored for this long. */
  stuckMs: number
  /** Ends the wait. */
  signal: AbortSignal
  /** Called while waiting for events. */
  onWait: (sentence: string) => void
}

export interface K6Comparison extends K6Verdict {
  /** The first ids of each outcome that needs investigation. */
  ids: Partial<Record<K6Outcome, string[]>>
}

/** Events per statement, which bounds its memory and time. */
const CHUNK = 200_000
const IDS = 10
const PAUSE_MS = 500

/**
 * Waits until all acknowledged events are stored, or nothing has been stored for `stuckMs`, and compares each event of
 * the run with its row. Read-only; may run while the services are running.
 *
 * @throws if PostgreSQL cannot be reached, even after `stuckMs`
 */
export async function compareK6(options: K6CompareOptions): Promise<K6Comparison> {
  const { report, failed, interrupted } = options
  const expected = expectationOf(report, failed, interrupted, CHUNK)
  const comparison = new Comparison(options, expected)
  await comparison.wait()
  return await comparison.judge()
}

/** Checks that the tables can be read. @throws PostgreSQL's error */
export async function checkDatabase(databaseUrl: string): Promise<void> {
  await inTransaction(databaseUrl, (client) => client.query('SELECT FROM events, dead_letters LIMIT 0'))
}

class Comparison {
  readonly #options: K6CompareOptions
  readonly #expected: K6Expectation
  readonly #ids: EventMaker

  constructor(options: K6CompareOptions, expected: K6Expectation) {
    this.#options = options
    this.#expected = expected
    this.#ids = new EventMaker(options.report.run)
  }

  /** Outages may last, so an unanswered query only counts as no progress. */
  async wait(): Promise<void> {
    const { signal, stuckMs, onWait } = this.#options
    let least = Number.POSITIVE_INFINITY
    let lastProgress = performance.now()
    while (!signal.aborted) {
      const start = performance.now()
      const missing = await this.#countMissing().catch((error: unknown) => error as Error)
      if (!(missing instanceof Error) && missing <= this.#expected.unknown) return
      if (!(missing instanceof Error) && missing < least) {
        least = missing
        lastProgress = start
      }
      const idleMs = start - lastProgress
      if (idleMs > stuckMs && missing instanceof Error) throw missing
      if (idleMs > stuckMs) return
      const what =
        missing instanceof Error
          ? `PostgreSQL does not answer (${missing.message})`
          : `${missing.toLocaleString('en-US')} acknowledged events are not yet stored`
      onWait(`${what}; nothing new for ${Math.round(idleMs / 1000)} of ${stuckMs / 1000} s`)
      // Polls less often if the query is expensive.
      const pauseMs = PAUSE_MS + 2 * (performance.now() - start)
      await timeout(pauseMs, undefined, { signal }).catch(() => {})
    }
  }

  async judge(): Promise<K6Comparison> {
    const found: Partial<Record<K6Outcome, number>> = {}
    const ids: K6Comparison['ids'] = {}
    let copies = 0
    for (const range of this.#expected.ranges) {
      const rows = await this.#query<{
        verdict: K6Outcome
        count: number
        copies: number
        ids: string[] | null
      }>(JUDGE, range)
      for (const row of rows) {
        found[row.verdict] = (found[row.verdict] ?? 0) + row.count
        copies += row.copies
        ids[row.verdict] = [...(ids[row.verdict] ?? []), ...(row.ids ?? [])].slice(0, IDS)
      }
    }
    // Interrupted requests are not expected to be stored.
    if ((found.missing ?? 0) <= this.#expected.unknown) delete ids.missing
    return { ...conclude(this.#expected, found, copies), ids }
  }

  async #countMissing(): Promise<number> {
    let sum = 0
    for (const range of this.#expected.ranges) {
      const [row] = await this.#query<{ count: number }>(COUNT_MISSING, range)
      sum += row?.count ?? 0
    }
    return sum
  }

  async #query<Row extends object>(text: string, { first, last }: K6Range): Promise<Row[]> {
    const { run, batch } = this.#options.report
    const failed = this.#options.failed.filter(({ n, count }) => n <= last && n + count > first)
    const values = [
      run.start_ms,
      run.random,
      first,
      last,
      batch,
      failed.map(({ n }) => Math.floor(n / batch)),
      failed.map(({ refused }) => refused),
      this.#ids.id(first),
      this.#ids.id(last),
    ]
    return await inTransaction(this.#options.databaseUrl, async (client) => {
      return (await client.query<Row>(text, values)).rows
    })
  }
}

async function inTransaction<T>(databaseUrl: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({
    connectionString: databaseUrl,
    application_name: 'firehose-k6',
    connectionTimeoutMillis: 5000,
    query_timeout: 60_000,
  })
  client.on('error', () => {}) // the pending query is rejected with the same error
  await client.connect()
  try {
    await client.query(`BEGIN READ ONLY; ${SETTINGS}`)
    const result = await work(client)
    await client.query('COMMIT')
    return result
  } finally {
    await client.end()
  }
}

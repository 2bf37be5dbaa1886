import { connect } from '../../postgres/connect.ts'
import { migrate } from '../../postgres/migrate.ts'
import type { Partitioning } from '../../postgres/partitions/settings.ts'
import { attachLeaf, createLeaf, readLeafModel } from '../../postgres/partitions/leaf.ts'
import { rangeAt } from '../../postgres/partitions/ranges.ts'
import { readLayout, STRAY } from '../../postgres/partitions/tree.ts'
import { BriefTransactions } from '../../maintenance/brief-transactions.ts'
import { LongStatements } from '../../maintenance/long-statements.ts'
import type { Action, Policy } from '../../maintenance/maintenance.ts'
import type { RunResult } from '../../maintenance/run.ts'
import { retain } from '../../maintenance/retain.ts'
import { createDatabase } from './databases.ts'
import { idSql } from './ids.ts'
import { KEEP_ALL, Maintained } from './maintained.ts'

/* Tables with rows of any age, and retention on them at a moment of the test's choice. */

export const DAY_MS = 86_400_000
/** The first moment of the day on which the tables were made; the first leaf is that of the day before. */
export const TODAY = Math.floor(Date.now() / DAY_MS) * DAY_MS
export const RETENTION_DAYS = 30
/** Rows that were received earlier go: so do the leaves of yesterday and today. */
export const CUTOFF = TODAY + 1.5 * DAY_MS
export const NOW = CUTOFF + RETENTION_DAYS * DAY_MS

/** A moment that is neither in a leaf that goes nor in any other: in `events_stray`. */
export const NO_LEAF = TODAY + 100 * DAY_MS
/** A moment before the era: in `events_other`. */
export const BEFORE_ERA = TODAY - 1_000 * DAY_MS

export interface Rows {
  /** By the time in their ids. */
  idMs: number
  receivedMs: number
  count?: number
  /** Their user_id, by which a test finds them. */
  user: number
}

/** The statement that inserts rows. */
export function insertion({ idMs, receivedMs, count = 1, user }: Rows): string {
  return `INSERT INTO events (event_id, user_id, "timestamp", metadata, received_at) SELECT ${idSql(idMs)}, ${user}, now(), '{"page": "/"}',
    to_timestamp(${receivedMs} / 1000.0) FROM generate_series(1, ${count}) AS n`
}

const POLICY: Policy = { ...KEEP_ALL, retentionDays: RETENTION_DAYS }

export class Retained extends Maintained {
  static async make(server: string, name: string, partitioning: Partitioning = 'day'): Promise<Retained> {
    const url = await createDatabase(server, name)
    await migrate(url, { partitioning })
    return new Retained(url, POLICY)
  }

  async addRows(...rows: readonly Rows[]): Promise<void> {
    await this.query(rows.map(insertion).join('; '))
  }

  /** The number of rows by user_id. */
  async users(table = 'events'): Promise<Record<string, number>> {
    const rows = await this.query<{ user: string; count: number }>(
      `SELECT user_id::text AS user, count(*)::int AS count FROM ${table} GROUP BY user_id ORDER BY user_id`,
    )
    return Object.fromEntries(rows.map(({ user, count }) => [user, count]))
  }

  /** The names of the leaves of yesterday and today that are there. */
  async oldLeaves(): Promise<string[]> {
    const client = await connect(this.url)
    try {
      const layout = await readLayout(client)
      const leaves = layout.kind === 'tree' ? layout.leaves : []
      return leaves.filter(({ toMs }) => toMs <= CUTOFF).map(({ name }) => name)
    } finally {
      await client.end()
    }
  }

  /** Makes the leaf of today again, if it was dropped. */
  async makeLeafOfToday(): Promise<void> {
    if ((await this.oldLeaves()).length > 0) return
    const client = await connect(this.url)
    const model = await readLeafModel(client, STRAY)
    const range = rangeAt('day', TODAY)
    for (const statement of createLeaf(range, model, 'immediate')) await client.query(statement)
    await client.query(attachLeaf(range, model))
    await client.end()
  }

  /** A whole run of maintenance at a moment. */
  async maintainAt(nowMs: number): Promise<RunResult> {
    return await this.maintain(0, { nowMs })
  }

  /** Runs retention. @param prepare may change the connection that it uses */
  async retain({
    dryRun = false,
    deadLetterDays,
    attempts = 12,
    prepare = () => {},
  }: {
    dryRun?: boolean
    deadLetterDays?: number
    /** To get the locks. */
    attempts?: number
    prepare?: (client: Awaited<ReturnType<typeof connect>>) => void
  } = {}): Promise<Action[]> {
    const db = await connect(this.url)
    const actions: Action[] = []
    const { signal } = new AbortController()
    try {
      const layout = await readLayout(db)
      prepare(db)
      await retain({
        db,
        layout,
        brief: new BriefTransactions(db, signal, { attempts }),
        long: new LongStatements(db, this.url, signal, 60_000),
        policy: { ...POLICY, deadLetterDays },
        nowMs: NOW,
        dryRun,
        clocks: { isRehearsal: true },
        report: (action) => void actions.push(action),
        signal,
      })
      return actions
    } finally {
      await db.end().catch(() => {})
    }
  }
}

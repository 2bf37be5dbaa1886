import type pg from 'pg'
import type { EventsLayout, Tree } from '../postgres/partitions/tree.ts'
import type { PartitionUnit } from '../postgres/partitions/ranges.ts'
import type { UserIndexTime } from '../postgres/partitions/settings.ts'
import type { BriefTransactions } from './brief-transactions.ts'
import type { Clocks } from './clock-guard.ts'
import type { LongStatements } from './long-statements.ts'

/** The steps of a run, in their order. */
export const STEPS = ['ahead', 'retain', 'close'] as const
export type Step = (typeof STEPS)[number]

/** Something that a run did, or could not do. */
export interface Action {
  step: Step
  /**
   * `made` and `dropped` leaves, `moved` rows between leaves, `deleted` rows and dead `letters`, `closed` leaves, `indexed`
   * ones (built) and `unindexed` ones (dropped), `analyzed`; `problem`: it was not done, and the next run tries again.
   */
  kind:
    | 'made'
    | 'moved'
    | 'dropped'
    | 'deleted'
    | 'letters'
    | 'closed'
    | 'indexed'
    | 'unindexed'
    | 'analyzed'
    | 'problem'
  /** Of leaves, rows, letters or indexes. */
  count: number
  /** A sentence: what was done, or with --dry-run what would be. */
  text: string
}

/** @param text a sentence that says what was not done, and what helps */
export function problem(step: Step, text: string): Action {
  return { step, kind: 'problem', count: 0, text }
}

/** How the table is to be kept. */
export interface Policy {
  unit: PartitionUnit
  userIndex: UserIndexTime
  /** Undefined: kept for ever. */
  retentionDays: number | undefined
  deadLetterDays: number | undefined
}

/** What each step works with. */
export interface Maintenance {
  /** Of the owner of the tables, in no transaction. */
  db: pg.Client
  brief: BriefTransactions
  long: LongStatements
  policy: Policy
  /** PostgreSQL's time, or that of --now; milliseconds since 1970. */
  nowMs: number
  /** Compared before anything is deleted by its age. */
  clocks: Clocks
  /** Only says what would be done. */
  dryRun: boolean
  report: (action: Action) => void
  /** Aborts between statements. */
  signal: AbortSignal
}

/** The same, for a table that is a tree. */
export type WithTree = Maintenance & { tree: Tree }
export type WithLayout = Maintenance & { layout: EventsLayout }

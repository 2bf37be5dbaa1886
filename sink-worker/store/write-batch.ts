import { type Attempt, storeBySplitting, TooManyRefusedError } from './bisect.ts'
import type { Database } from '../../postgres/database.ts'
import { insertDeadLetters } from './dead-letters.ts'
import { encodeCopy } from './encode-copy.ts'
import { EVENT_COLUMNS } from './event-table.ts'
import { commit, openFencedTransaction, type Slice } from './fence.ts'
import type { DeadLetter, DecodedRow, TopicIdentity } from '../../event/record/decoded.ts'
import { classifyError, describeError, sqlstateOf } from '../outage/sqlstate.ts'
import { createStaging, type StagedOutcome, writeStaged } from './staging.ts'

/** Whether so many refused rows of a batch mean that the table, not the rows, is broken: then nothing is buried. */
export type TooMany = (refused: number, of: number) => boolean

/** What one transaction stores: the slices it moves, the rows and dead letters between them. */
export interface WriteRequest {
  /** In ascending order of partition. */
  slices: readonly Slice[]
  rows: readonly DecodedRow[]
  dead: readonly DeadLetter[]
  /** Rows that the table took when the request was sampled: it must go on to take them while others are buried. */
  witnesses?: readonly DecodedRow[]
}

/** What one committed transaction stored. */
export interface WriteResult {
  stored: number
  /** Identical events that were stored before. */
  duplicates: number
  dead: number
  /** Of the dead letters: rows that PostgreSQL refused. */
  refused: number
}

/**
 * The three write paths of a batch, dearest last:
 * - `copy`: COPY straight into `events`;
 * - `staged`: by way of a temporary table, when ids may be stored already;
 * - `split`: staged, in ever smaller segments, to find the rows that are refused and bury them (I6).
 */
export type WritePath = 'copy' | 'staged' | 'split'

/** A row was kept out without an error: a trigger of the user's. The `staged` path finds which. */
export class RowsKeptOutError extends Error {
  constructor(kept: number, of: number) {
    super(`${kept} of ${of} rows were kept out of "events"`)
    this.name = 'RowsKeptOutError'
  }
}

/**
 * Stores one batch: rows, dead letters and offsets in one transaction, fenced first (I3). Nothing is stored unless
 * it resolves; if the COMMIT's answer is lost it rejects, and the offsets in the database say what happened.
 */
export async function writeBatch(
  db: Database,
  identity: TopicIdentity,
  request: WriteRequest,
  path: WritePath,
  tooMany: TooMany,
): Promise<WriteResult> {
  try {
    await openFencedTransaction(db, identity, request.slices)
    const outcome = await WRITE_PATHS[path](db, request.rows, tooMany)
    const dead = [...request.dead, ...outcome.dead]
    await insertDeadLetters(db, identity, dead)
    await commit(db)
    return {
      stored: outcome.stored,
      duplicates: outcome.duplicates.length,
      dead: dead.length,
      refused: outcome.refused,
    }
  } catch (error) {
    await db.rollback()
    throw error
  }
}

/** Rows of a sample, tried one by one. */
const SAMPLE_ROWS = 128
const WITNESSES = 16

/**
 * Tries rows from all over the request and stores none: of too many rows to split them in one transaction, it tells
 * whether the table is to blame.
 *
 * @returns some of the rows that it took
 * @throws {TooManyRefusedError} or the driver's error
 */
export async function trySample(
  db: Database,
  identity: TopicIdentity,
  { slices, rows }: WriteRequest,
  tooMany: TooMany,
): Promise<DecodedRow[]> {
  const step = Math.max(1, rows.length / SAMPLE_ROWS)
  const sample = Array.from({ length: Math.floor(rows.length / step) }, (_, index) =>
    rows.slice(Math.floor(index * step), Math.floor(index * step) + 1),
  )
  try {
    await openFencedTransaction(db, identity, slices)
    await createSplitting(db)
    let refused = 0
    const taken: DecodedRow[] = []
    for (const segment of sample) {
      const attempt = await trySegment(db, segment)
      if (!attempt.refused) {
        taken.push(...segment)
        continue
      }
      refused += 1
      if (tooMany(refused, sample.length))
        throw new TooManyRefusedError(refused, sample.length, attempt.error)
    }
    return taken.slice(0, WITNESSES)
  } finally {
    await db.rollback()
  }
}

/** What became of the rows of a batch. */
export interface WritePathOutcome extends StagedOutcome {
  /** Of the dead letters: rows that PostgreSQL refused. */
  refused: number
}

type WriteFunction = (
  db: Database,
  rows: readonly DecodedRow[],
  tooMany: TooMany,
) => Promise<WritePathOutcome>

const WRITE_PATHS: Record<WritePath, WriteFunction> = {
  copy: copyPath,
  staged: stagedPath,
  split: splitPath,
}

async function copyPath(db: Database, rows: readonly DecodedRow[]): Promise<WritePathOutcome> {
  if (rows.length === 0) return { stored: 0, duplicates: [], dead: [], refused: 0 }
  const stored = await db.copyIn(
    `COPY events (${EVENT_COLUMNS}) FROM STDIN (FORMAT binary)`,
    encodeCopy(rows.map(({ row }) => row)),
  )
  if (stored !== rows.length) throw new RowsKeptOutError(rows.length - stored, rows.length)
  return { stored, duplicates: [], dead: [], refused: 0 }
}

async function stagedPath(db: Database, rows: readonly DecodedRow[]): Promise<WritePathOutcome> {
  await createStaging(db)
  return { ...(await writeStaged(db, rows)), refused: 0 }
}

/**
 * Stores rows within the open transaction, whatever their neighbours are: those that cannot be stored come back as dead
 * letters.
 *
 * @throws the driver's error when it is not about a row
 */
export async function splitPath(
  db: Database,
  rows: readonly DecodedRow[],
  tooMany: TooMany,
): Promise<WritePathOutcome> {
  const total: WritePathOutcome = { stored: 0, duplicates: [], dead: [], refused: 0 }
  await createSplitting(db)
  const store = async (segment: readonly DecodedRow[]): Promise<Attempt> => {
    const attempt = await trySegment(db, segment)
    if (attempt.refused) return attempt
    total.stored += attempt.outcome.stored
    total.duplicates.push(...attempt.outcome.duplicates)
    total.dead.push(...attempt.outcome.dead)
    return attempt
  }
  const refused = await storeBySplitting(rows, store, tooMany)
  total.refused = refused.length
  total.dead.push(...refused.map(({ item, error }) => refusedRow(item, error)))
  return total
}

async function createSplitting(db: Database): Promise<void> {
  await createStaging(db)
  await db.query('SET CONSTRAINTS ALL IMMEDIATE') // a deferred one must speak while its row can still be told
}

type SegmentAttempt = { refused: false; outcome: StagedOutcome } | { refused: true; error: unknown }

async function trySegment(db: Database, segment: readonly DecodedRow[]): Promise<SegmentAttempt> {
  await db.query('SAVEPOINT segment')
  try {
    const outcome = await writeStaged(db, segment)
    await db.query('RELEASE SAVEPOINT segment')
    return { refused: false, outcome }
  } catch (error) {
    const kind = classifyError(error)
    if (kind !== 'row' && kind !== 'unique_violation') throw error // the latter: of a user's deferred constraint
    // Released, too: else the dead letters would be written in a subtransaction, which no snapshot names (see `dlq`).
    await db.queries('ROLLBACK TO SAVEPOINT segment; RELEASE SAVEPOINT segment')
    return { refused: true, error }
  }
}

function refusedRow({ record, row }: DecodedRow, error: unknown): DeadLetter {
  const sqlstate = sqlstateOf(error)
  const isData = sqlstate?.startsWith('22') === true || sqlstate?.startsWith('54') === true
  const constraint = (error as { constraint?: string }).constraint
  return {
    record,
    eventId: row.eventId,
    reason: isData ? 'data_exception' : 'constraint',
    sqlstate,
    message:
      constraint === undefined ? describeError(error) : `Refused by ${constraint}: ${describeError(error)}`,
  }
}

import { type Attempt, storeBySplitting } from './bisect.ts'
import type { Database } from './database.ts'
import { insertDeadLetters } from './dead-letters.ts'
import { encodeCopy } from './encode-copy.ts'
import { EVENT_COLUMNS } from './event-table.ts'
import { commit, openFencedTransaction, type Slice, type TopicIdentity } from './fence.ts'
import type { DeadLetter, DecodedRow } from './records.ts'
import { classifyError, describeError, sqlstateOf } from './sqlstate.ts'
import { createStaging, type StagedOutcome, writeStaged } from './staging.ts'

/** Whether so many refused rows of a batch mean that the table, not the rows, is broken: then nothing is buried. */
export type TooMany = (refused: number, of: number) => boolean

/** What one transaction stores: the slices it moves, the rows and dead letters between them. */
export interface WriteRequest {
  /** In ascending order of partition. */
  slices: readonly Slice[]
  rows: readonly DecodedRow[]
  dead: readonly DeadLetter[]
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
 * The three roads of a batch, dearest last:
 * - `copy`: COPY straight into `events`;
 * - `staged`: by way of a temporary table, when ids may be stored already;
 * - `split`: staged, in ever smaller segments, to find the rows that are refused and bury them (I6).
 */
export type Road = 'copy' | 'staged' | 'split'

/** A row was kept out without an error: a trigger of the user's. The `staged` road finds which. */
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
  road: Road,
  tooMany: TooMany,
): Promise<WriteResult> {
  try {
    await openFencedTransaction(db, identity, request.slices)
    const outcome = await ROADS[road](db, request.rows, tooMany)
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

/** What became of the rows of a batch. */
export interface RoadOutcome extends StagedOutcome {
  /** Of the dead letters: rows that PostgreSQL refused. */
  refused: number
}

type RoadFunction = (db: Database, rows: readonly DecodedRow[], tooMany: TooMany) => Promise<RoadOutcome>

const ROADS: Record<Road, RoadFunction> = {
  copy: copyRoad,
  staged: stagedRoad,
  split: splitRoad,
}

async function copyRoad(db: Database, rows: readonly DecodedRow[]): Promise<RoadOutcome> {
  if (rows.length === 0) return { stored: 0, duplicates: [], dead: [], refused: 0 }
  const stored = await db.copyIn(
    `COPY events (${EVENT_COLUMNS}) FROM STDIN (FORMAT binary)`,
    encodeCopy(rows.map(({ row }) => row)),
  )
  if (stored !== rows.length) throw new RowsKeptOutError(rows.length - stored, rows.length)
  return { stored, duplicates: [], dead: [], refused: 0 }
}

async function stagedRoad(db: Database, rows: readonly DecodedRow[]): Promise<RoadOutcome> {
  await createStaging(db)
  return { ...(await writeStaged(db, rows)), refused: 0 }
}

/**
 * Stores rows within the open transaction, whatever their neighbours are: those that cannot be stored come back as dead
 * letters.
 *
 * @throws the driver's error when it is not about a row
 */
export async function splitRoad(
  db: Database,
  rows: readonly DecodedRow[],
  tooMany: TooMany,
): Promise<RoadOutcome> {
  const total: RoadOutcome = { stored: 0, duplicates: [], dead: [], refused: 0 }
  await createStaging(db)
  await db.query('SET CONSTRAINTS ALL IMMEDIATE') // a deferred one must speak while its row can still be told

  const store = async (segment: readonly DecodedRow[]): Promise<Attempt> => {
    await db.query('SAVEPOINT segment')
    try {
      const outcome = await writeStaged(db, segment)
      await db.query('RELEASE SAVEPOINT segment')
      total.stored += outcome.stored
      total.duplicates.push(...outcome.duplicates)
      total.dead.push(...outcome.dead)
      return { refused: false }
    } catch (error) {
      const kind = classifyError(error)
      if (kind !== 'row' && kind !== 'unique_violation') throw error // the latter: of a user's deferred constraint
      await db.query('ROLLBACK TO SAVEPOINT segment')
      return { refused: true, error }
    }
  }
  const refused = await storeBySplitting(rows, store, tooMany)
  total.refused = refused.length
  total.dead.push(...refused.map(({ item, error }) => refusedRow(item, error)))
  return total
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

import type { UserIdType } from '../../event/kinds.ts'
import { RowsKeptOutError, TooManyRefusedError, UserIdTypeChangedError } from '../errors.ts'
import { type Attempt, storeBySplitting } from './bisect.ts'
import type { Database } from '../../postgres/database.ts'
import { insertDeadLetters } from './dead-letters.ts'
import { encodeCopy } from './encode-copy.ts'
import { EVENT_COLUMNS, type TableShape, USUAL_COLUMNS } from './event-table.ts'
import { commit, openFencedTransaction, type Slice } from './fence.ts'
import type { DeadLetter, DecodedRow, TopicIdentity } from '../../event/record/decoded.ts'
import { classifyError, describeError, sqlstateOf } from '../outage/sqlstate.ts'
import { createStaging, type StagedOutcome, writeStaged } from './staging.ts'

/** Whether so many rows of a batch were refused that the table must be at fault; then no row is dead-lettered. */
export type TooMany = (refused: number, of: number) => boolean

/** What one transaction stores: rows, dead letters, and the slices whose offsets it moves. */
export interface WriteRequest {
  /** In ascending order of partition. */
  slices: readonly Slice[]
  rows: readonly DecodedRow[]
  dead: readonly DeadLetter[]
  /** The type of the column user_id for which the rows were decoded. */
  userIdType: UserIdType
  /** Rows that the table accepted when the request was sampled. It must still accept them while others are dead-lettered. */
  witnesses?: readonly DecodedRow[]
}

/** What one committed transaction stored. */
export interface WriteResult {
  stored: number
  /** Events that were already stored. */
  duplicates: number
  dead: number
  /** The number of dead letters that are rows which PostgreSQL refused. */
  refused: number
}

/**
 * The three write paths of a batch, the most expensive last:
 * - `copy`: COPY directly into `events`;
 * - `staged`: through a temporary table, if ids may be stored already;
 * - `split`: staged, in ever smaller segments, to find refused rows and dead-letter them (I6).
 */
export type WritePath = 'copy' | 'staged' | 'split'

/**
 * Stores one request: rows, dead letters and offsets in one transaction, which starts with the fence (I3).
 *
 * @throws the driver's error; nothing is stored then, unless only the answer to COMMIT was lost: sink_offsets tells
 */
export async function writeBatch(
  db: Database,
  identity: TopicIdentity,
  request: WriteRequest,
  path: WritePath,
  tooMany: TooMany,
): Promise<WriteResult> {
  try {
    const table = await openTransaction(db, identity, request)
    const outcome = await WRITE_PATHS[path](db, request.rows, table, tooMany)
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

/** @throws also {UserIdTypeChangedError} */
async function openTransaction(
  db: Database,
  identity: TopicIdentity,
  { slices, userIdType }: WriteRequest,
): Promise<TableShape> {
  const table = await openFencedTransaction(db, identity, slices)
  if (table.userIdType !== userIdType) throw new UserIdTypeChangedError(table.userIdType)
  return table
}

/** Rows in a sample, tried one by one. */
const SAMPLE_ROWS = 128
const WITNESSES = 16

/**
 * Tries an even sample of the request's rows and rolls back. For a request that is too large for the split path in one
 * transaction, this shows whether the table is at fault.
 *
 * @returns some of the rows that the table accepted
 * @throws {TooManyRefusedError} or the driver's error
 */
export async function trySample(
  db: Database,
  identity: TopicIdentity,
  request: WriteRequest,
  tooMany: TooMany,
): Promise<DecodedRow[]> {
  const { rows, userIdType } = request
  const step = Math.max(1, rows.length / SAMPLE_ROWS)
  const sample = Array.from({ length: Math.floor(rows.length / step) }, (_, index) =>
    rows.slice(Math.floor(index * step), Math.floor(index * step) + 1),
  )
  try {
    await openTransaction(db, identity, request)
    await createSplitting(db, userIdType)
    let refused = 0
    const taken: DecodedRow[] = []
    for (const segment of sample) {
      const attempt = await trySegment(db, segment, userIdType)
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
  /** The number of dead letters that are rows which PostgreSQL refused. */
  refused: number
}

type WriteFunction = (
  db: Database,
  rows: readonly DecodedRow[],
  table: TableShape,
  tooMany: TooMany,
) => Promise<WritePathOutcome>

const WRITE_PATHS: Record<WritePath, WriteFunction> = {
  copy: copyPath,
  staged: stagedPath,
  split: splitPath,
}

async function copyPath(
  db: Database,
  decoded: readonly DecodedRow[],
  { hasDefaults }: TableShape,
): Promise<WritePathOutcome> {
  if (decoded.length === 0) return { stored: 0, duplicates: [], dead: [], refused: 0 }
  const rows = decoded.map(({ row }) => row)
  const isUsual =
    !hasDefaults && rows.every(({ texts, ipAddress }) => texts === undefined && ipAddress === undefined)
  const stored = await db.copyIn(
    `COPY events (${isUsual ? USUAL_COLUMNS : EVENT_COLUMNS}) FROM STDIN (FORMAT binary)`,
    encodeCopy(rows, isUsual ? 'usual' : 'all'),
  )
  if (stored !== rows.length) throw new RowsKeptOutError(rows.length - stored, rows.length)
  return { stored, duplicates: [], dead: [], refused: 0 }
}

async function stagedPath(
  db: Database,
  rows: readonly DecodedRow[],
  { userIdType }: TableShape,
): Promise<WritePathOutcome> {
  await createStaging(db, userIdType)
  return { ...(await writeStaged(db, rows, userIdType)), refused: 0 }
}

/**
 * Stores rows in the open transaction. Rows that cannot be stored are returned as dead letters; the others are stored.
 *
 * @throws the driver's error if it is not about a row
 */
export async function splitPath(
  db: Database,
  rows: readonly DecodedRow[],
  { userIdType }: Pick<TableShape, 'userIdType'>,
  tooMany: TooMany,
): Promise<WritePathOutcome> {
  const total: WritePathOutcome = { stored: 0, duplicates: [], dead: [], refused: 0 }
  await createSplitting(db, userIdType)
  const store = async (segment: readonly DecodedRow[]): Promise<Attempt> => {
    const attempt = await trySegment(db, segment, userIdType)
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

async function createSplitting(db: Database, userIdType: UserIdType): Promise<void> {
  await createStaging(db, userIdType)
  await db.query('SET CONSTRAINTS ALL IMMEDIATE') // a deferred constraint would not show which row it refuses
}

type SegmentAttempt = { refused: false; outcome: StagedOutcome } | { refused: true; error: unknown }

async function trySegment(
  db: Database,
  segment: readonly DecodedRow[],
  userIdType: UserIdType,
): Promise<SegmentAttempt> {
  await db.query('SAVEPOINT segment')
  try {
    const outcome = await writeStaged(db, segment, userIdType)
    await db.query('RELEASE SAVEPOINT segment')
    return { refused: false, outcome }
  } catch (error) {
    const kind = classifyError(error)
    if (kind !== 'row' && kind !== 'unique_violation') throw error // the latter: by a user's deferrable constraint
    // Also released: otherwise the dead letters would be written in a subtransaction, whose id no snapshot lists
    // (dead-letters/select.ts depends on that).
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

import { InvariantError } from '../../platform/errors.ts'
import type { Database } from '../../postgres/database.ts'
import { isOneOf, lookupsOf } from '../../postgres/partitions/id-lookup.ts'
import { encodeCopy } from './encode-copy.ts'
import { EVENT_COLUMNS, eventColumnDefinitions, sentValues } from './event-table.ts'
import type { UserIdType } from '../../event/kinds.ts'
import type { DeadLetter, DecodedRow } from '../../event/record/decoded.ts'

/*
 * The staged path, for a batch with an event_id that may be stored already. The rows are copied into a temporary table;
 * new ones are inserted into `events`, the others are compared with the stored rows (I2). It is about twice as expensive
 * as COPY into `events`, so it is taken only on a unique violation and for a while after.
 *
 * No statement names the conflict target: `events` may be partitioned or have unique indexes that the user added.
 */

const create = (userIdType: UserIdType): string =>
  `CREATE TEMPORARY TABLE IF NOT EXISTS firehose_staged (ordinal int NOT NULL, ${eventColumnDefinitions(userIdType)},
    inserted boolean NOT NULL DEFAULT false) ON COMMIT DROP`

const COPY = `COPY pg_temp.firehose_staged (ordinal, ${EVENT_COLUMNS}) FROM STDIN (FORMAT binary)`

const CLEAR = 'DELETE FROM pg_temp.firehose_staged'

/** Inserts the first row of each id, in order of id, so that all workers insert the same ids in the same order. */
const INSERT_NEW = `
  WITH candidate AS (
    SELECT DISTINCT ON (event_id) ordinal, ${EVENT_COLUMNS} FROM pg_temp.firehose_staged ORDER BY event_id, ordinal
  ), inserted AS (
    INSERT INTO events (${EVENT_COLUMNS}) SELECT ${EVENT_COLUMNS} FROM candidate ORDER BY event_id
    ON CONFLICT DO NOTHING RETURNING event_id
  )
  UPDATE pg_temp.firehose_staged AS staged SET inserted = true
  FROM candidate JOIN inserted USING (event_id) WHERE staged.ordinal = candidate.ordinal`

const NOT_INSERTED = 'SELECT ordinal FROM pg_temp.firehose_staged WHERE NOT inserted ORDER BY ordinal'

/**
 * Identity is judged by what was sent. A row that a trigger or an UPDATE has changed since has the same check; rows without
 * one, and the same event in another notation, are compared by their columns. A separate statement, because its snapshot
 * must include what a rival committed while INSERT_NEW waited for it.
 *
 * The condition on event_id keeps it from opening leaves that have none of the ids, which a join of the two tables would. Each
 * row found is one of the others, so that a left join would do; but the planner cannot know how many there are, and a full
 * join cannot be done in loops.
 */
const compareOthers = (userIdType: UserIdType, isOther: string): string => `
  SELECT s.ordinal,
    CASE WHEN e.event_id IS NULL THEN 'absent'
         WHEN e.sent_check = s.sent_check OR (${sentValues('e', userIdType)}) IS NOT DISTINCT FROM (${sentValues('s', userIdType)}) THEN 'duplicate'
         WHEN e.sent_check IS NULL THEN 'unsure'
         ELSE 'conflict' END AS verdict
  FROM (SELECT * FROM pg_temp.firehose_staged WHERE NOT inserted) AS s
  FULL JOIN (SELECT * FROM events WHERE ${isOther}) AS e USING (event_id)`

/** What a row is to the stored row with its id; `unsure` if that has other content, but no check. */
type Verdict = 'absent' | 'duplicate' | 'unsure' | 'conflict'

/** What became of the rows of a segment. */
export interface StagedOutcome {
  stored: number
  /** Rows that are identical to a stored event. */
  duplicates: DecodedRow[]
  dead: DeadLetter[]
}

/** Creates the temporary table for this transaction, unless it exists. */
export async function createStaging(db: Database, userIdType: UserIdType): Promise<void> {
  await db.query(create(userIdType))
}

/**
 * Stores a segment of rows through the temporary table.
 *
 * @throws the driver's error if a row is refused
 */
export async function writeStaged(
  db: Database,
  rows: readonly DecodedRow[],
  userIdType: UserIdType,
): Promise<StagedOutcome> {
  await db.query(CLEAR)
  await db.copyIn(
    COPY,
    encodeCopy(
      rows.map(({ row }) => row),
      'staged',
    ),
  )
  const stored = (await db.query(INSERT_NEW)).rowCount ?? 0
  const outcome: StagedOutcome = { stored, duplicates: [], dead: [] }
  if (stored === rows.length) return outcome
  const rowAt = (ordinal: number): DecodedRow => {
    const row = rows[ordinal]
    if (row !== undefined) return row
    throw new InvariantError(`PostgreSQL reported row ${ordinal}, but only ${rows.length} rows were staged`)
  }
  const notInserted = await db.query<{ ordinal: number }>(NOT_INSERTED)
  const ids = notInserted.rows.map(({ ordinal }) => rowAt(ordinal).row.eventId)
  for (const [ordinal, verdict] of await compare(db, ids, userIdType)) {
    const row = rowAt(ordinal)
    if (verdict === 'duplicate') outcome.duplicates.push(row)
    else outcome.dead.push(verdict === 'absent' ? keptOutLetter(row) : idConflictLetter(row, verdict))
  }
  return outcome
}

/** Compares the rows that were not inserted with the stored rows with these ids. @returns verdicts by ordinal */
async function compare(
  db: Database,
  ids: readonly string[],
  userIdType: UserIdType,
): Promise<Map<number, Verdict>> {
  const verdicts = new Map<number, Verdict>()
  for (const lookup of lookupsOf(ids)) {
    const values: unknown[] = []
    const statement = compareOthers(userIdType, isOneOf(lookup, values))
    const { rows } = await db.query<{ ordinal: number; verdict: Verdict }>(statement, values)
    // Rows with ids of another lookup are absent from this one.
    for (const { ordinal, verdict } of rows)
      if (verdict !== 'absent' || !verdicts.has(ordinal)) verdicts.set(ordinal, verdict)
  }
  return verdicts
}

/** A stored row without a check may have been erased on purpose: then no copy of the event may stay in the database. */
function idConflictLetter({ record, row }: DecodedRow, verdict: 'unsure' | 'conflict'): DeadLetter {
  return {
    ...(verdict === 'unsure' ? { keepsNoValue: true } : {}),
    record,
    eventId: row.eventId,
    reason: 'event_id_conflict',
    sqlstate: '23505',
    message: 'An event with this id but different content is already stored',
  }
}

function keptOutLetter({ record, row }: DecodedRow): DeadLetter {
  return {
    record,
    eventId: row.eventId,
    reason: 'kept_out',
    sqlstate: undefined,
    message: 'Another unique index or a trigger of "events" kept this row out without an error',
  }
}

import type { TopicIdentity } from '../../event/record/decoded.ts'
import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { APPLICATION_NAME, type Database } from '../../postgres/database.ts'
import { EVENT_COLUMN_TYPES, READ_EVENT_COLUMN_TYPES } from './event-table.ts'

/** What a transaction moves forward: one partition's offsets, from the value that it must find to the next. */
export interface Slice {
  partition: number
  /** sink_offsets.next_offset as it must stand. */
  from: bigint
  /** The offset after the last record of this slice. */
  to: bigint
  lastOffset: bigint
  /** SHA-256 of the last record's value. */
  lastDigest: Buffer
}

/** Someone else has written this range: read the offsets again and go on from there. */
export class FenceLostError extends Error {
  readonly partition: number
  constructor(partition: number) {
    super(`partition ${partition} was written by another worker`)
    this.name = 'FenceLostError'
    this.partition = partition
  }
}

/** `events` is not the table that the rows were made for. Nothing was written. */
class TableMismatchError extends Error {
  /** See sqlstate.ts: waits for a person. */
  readonly needsPerson = true
  constructor(found: string) {
    super(
      `the columns of "events" are (${found}), expected (${EVENT_COLUMN_TYPES}); restore their names and types`,
    )
    this.name = 'TableMismatchError'
  }
}

/**
 * Shares of the time after which a silent database counts as down: first a rival that holds the fence is looked at,
 * then the wait for a lock is over.
 */
const RIVAL_CHECK_SHARE = 0.2
const LOCK_TIMEOUT_SHARE = 0.4
/** A rival whose transaction is older has lost its partition to us and still has not ended: frozen or unreachable. */
const RIVAL_AGE_MS = 5_000

/**
 * Opens a transaction whose first statement takes the row locks of all slices and moves their offsets (I3): a rival
 * waits here, instead of colliding on keys, and then finds the offsets moved. Also holds `events` against ALTER and
 * checks its column types, since binary COPY into an altered column can succeed and store something else.
 *
 * READ COMMITTED on purpose: an UPDATE that waited looks at the row's newest version.
 *
 * @param slices in ascending order of partition, so that two workers lock in the same order; without one nothing is
 *   fenced, and only the table held and checked
 * @throws {FenceLostError | TableMismatchError} or the driver's error; the caller rolls back
 */
export async function openFencedTransaction(
  db: Database,
  identity: TopicIdentity,
  slices: readonly Slice[],
): Promise<void> {
  const token = `/* fence ${randomUUID()} */`
  const statements = [
    `${token} BEGIN ISOLATION LEVEL READ COMMITTED`,
    `SET LOCAL lock_timeout = ${Math.ceil(db.silenceMs * LOCK_TIMEOUT_SHARE)}`,
    'SET LOCAL tcp_keepalives_idle = 10',
    'SET LOCAL tcp_keepalives_interval = 5',
    'SET LOCAL tcp_keepalives_count = 3',
  ]
  const firstFence = statements.length
  for (const slice of slices) statements.push(fenceStatement(identity, slice))
  statements.push('LOCK TABLE events IN ROW EXCLUSIVE MODE', READ_EVENT_COLUMN_TYPES)

  const results = await withRivalCheck(db, token, async () => await db.queries(statements.join(';\n')))

  for (const [index, slice] of slices.entries()) {
    if (results[firstFence + index]?.rowCount !== 1) throw new FenceLostError(slice.partition)
  }
  const found = (results.at(-1)?.rows[0] as { types: string | null } | undefined)?.types ?? 'none'
  if (found !== EVENT_COLUMN_TYPES) throw new TableMismatchError(found)
}

/** @throws when PostgreSQL rolled back instead: the transaction had failed */
export async function commit(db: Database): Promise<void> {
  const { command } = await db.query('COMMIT')
  if (command !== 'COMMIT') throw new Error(`COMMIT answered ${command}`)
}

function fenceStatement(identity: TopicIdentity, slice: Slice): string {
  return `UPDATE sink_offsets
    SET next_offset = ${slice.to}, last_offset = ${slice.lastOffset},
        last_digest = '\\x${slice.lastDigest.toString('hex')}', updated_at = now()
    WHERE cluster_id = ${pg.escapeLiteral(identity.clusterId)} AND topic = ${pg.escapeLiteral(identity.topic)}
      AND partition = ${slice.partition} AND next_offset = ${slice.from}`
}

/**
 * No timeout of the server ends a COPY whose client is frozen (measured): its row lock would hold a partition for
 * ever. So, while the fence waits (its token finds it, through a pooler too), a second connection ends the sessions
 * that block it, if they are the sink's own (same role, same name) and old enough.
 */
async function withRivalCheck<T>(db: Database, token: string, work: () => Promise<T>): Promise<T> {
  let check: Promise<unknown> = Promise.resolve()
  const timer = setTimeout(() => {
    check = db
      .onSecondConnection(
        async (client) => await client.query(TERMINATE_RIVALS, [APPLICATION_NAME, RIVAL_AGE_MS, token]),
      )
      .catch(() => {}) // the fence's own lock_timeout will say that it waited in vain
  }, db.silenceMs * RIVAL_CHECK_SHARE)
  try {
    return await work()
  } finally {
    clearTimeout(timer)
    await check
  }
}

const TERMINATE_RIVALS = `
  SELECT rival.pid, pg_terminate_backend(rival.pid)
  FROM pg_stat_activity AS waiting
  CROSS JOIN LATERAL unnest(pg_blocking_pids(waiting.pid)) AS blocking(pid)
  JOIN pg_stat_activity AS rival ON rival.pid = blocking.pid
  WHERE starts_with(waiting.query, $3) AND waiting.usename = current_user
    AND rival.application_name = $1 AND rival.usename = current_user AND rival.datname = current_database()
    AND clock_timestamp() - rival.xact_start > $2 * interval '1 millisecond'`

import type { TopicIdentity } from '../../event/record/decoded.ts'
import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { APPLICATION_NAME, type Database } from '../../postgres/database.ts'
import { FenceLostError } from '../errors.ts'
import { READ_EVENT_COLUMN_TYPES, tableShape, type TableShape } from './event-table.ts'

/** The share of one partition in a write request: a range of offsets that the transaction moves past. */
export interface Slice {
  partition: number
  /** The value that sink_offsets.next_offset must have. */
  from: bigint
  /** The offset after the last record of this slice. */
  to: bigint
  lastOffset: bigint
  /** SHA-256 of the last record's value. */
  lastDigest: Buffer
}

/**
 * Shares of the time after which a silent database counts as down: first, rivals that hold the fence are terminated;
 * later, lock_timeout ends the wait.
 */
const RIVAL_CHECK_SHARE = 0.2
const LOCK_TIMEOUT_SHARE = 0.4
/** A rival with an older transaction has lost its partition but has not ended: it is frozen or unreachable. */
const RIVAL_AGE_MS = 5_000

/**
 * Opens a transaction whose first statements lock the sink_offsets rows of all slices and move their offsets (I3). A
 * rival waits here instead of colliding on keys, and then finds the offsets moved. The transaction also locks `events`
 * against ALTER and checks its column types: binary COPY into an altered column can succeed and store another value.
 * (ONLY: COPY itself locks the leaves that it writes to, and no others.)
 *
 * The level must be READ COMMITTED: an UPDATE that waited then sees the row's newest version.
 *
 * @param slices in ascending order of partition, so that all workers lock in the same order; if empty, nothing is fenced
 * @returns the table as the transaction sees it
 * @throws {FenceLostError | TableMismatchError} or the driver's error; the caller rolls back
 */
export async function openFencedTransaction(
  db: Database,
  identity: TopicIdentity,
  slices: readonly Slice[],
): Promise<TableShape> {
  const token = `/* fence ${randomUUID()} */`
  const statements = [
    `${token} BEGIN ISOLATION LEVEL READ COMMITTED`,
    `SET LOCAL lock_timeout = ${Math.ceil(db.silenceMs * LOCK_TIMEOUT_SHARE)}`,
    'SET LOCAL array_nulls = on',
    'SET LOCAL tcp_keepalives_idle = 10',
    'SET LOCAL tcp_keepalives_interval = 5',
    'SET LOCAL tcp_keepalives_count = 3',
  ]
  const firstFence = statements.length
  for (const slice of slices) statements.push(fenceStatement(identity, slice))
  statements.push('LOCK TABLE ONLY events IN ROW EXCLUSIVE MODE', READ_EVENT_COLUMN_TYPES)

  const results = await withRivalCheck(db, token, async () => await db.queries(statements.join(';\n')))

  for (const [index, slice] of slices.entries()) {
    if (results[firstFence + index]?.rowCount !== 1) throw new FenceLostError(slice.partition)
  }
  return tableShape(results.at(-1)?.rows[0] as object)
}

/** @throws if PostgreSQL rolled back instead, because the transaction had failed */
export async function commit(db: Database): Promise<void> {
  const { command } = await db.query('COMMIT')
  if (command !== 'COMMIT') throw new Error(`COMMIT answered ${command}`)
}

function fenceStatement(identity: TopicIdentity, slice: Slice): string {
  return `UPDATE sink_offsets
    SET next_offset = ${slice.to}, last_offset = ${slice.lastOffset},
        last_digest = decode('${slice.lastDigest.toString('hex')}', 'hex'), updated_at = now()
    WHERE cluster_id = ${pg.escapeLiteral(identity.clusterId)} AND topic = ${pg.escapeLiteral(identity.topic)}
      AND partition = ${slice.partition} AND next_offset = ${slice.from}`
}

/**
 * No server timeout ends a COPY whose client is frozen (measured): its row lock would block the partition forever.
 * Therefore, if the fence waits too long, a second connection terminates the sessions that block it, provided that they
 * are sinks (same role, same application_name) and old enough. The token identifies the waiting session in
 * pg_stat_activity, even through a connection pooler.
 */
async function withRivalCheck<T>(db: Database, token: string, work: () => Promise<T>): Promise<T> {
  let check: Promise<unknown> = Promise.resolve()
  const timer = setTimeout(() => {
    check = db
      .onSecondConnection(
        async (client) => await client.query(TERMINATE_RIVALS, [APPLICATION_NAME, RIVAL_AGE_MS, token]),
      )
      .catch(() => {}) // the fence itself fails with lock_timeout
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

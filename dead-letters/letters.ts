import type { Database } from '../postgres/database.ts'
import type { HistoryEntry, Letter, LetterHead, LetterKey, LetterState } from './letter.ts'
import { type Selection, whereOf } from './select.ts'

/*
 * The SQL for dead_letters and dead_letter_history. Every statement names its topic, except readSnapshot(). Values are
 * read only when requested.
 */

/** The number of letters with the same cluster, reason and state. */
export interface LetterGroup {
  clusterId: string
  reason: string
  state: LetterState
  count: number
  oldest: Date
  newest: Date
}

/** A letter to replay or discard; its value is read later, in the transaction that changes it. */
export interface PageItem extends LetterKey {
  valueBytes: number
  /** Its value is only in Kafka. */
  isLarge: boolean
}

interface HeadRow {
  cluster_id: string
  partition: number
  offset: string
  event_id: string | null
  value_bytes: string
  reason: string
  sqlstate: string | null
  message: string
  created_ms: string
  state: LetterState
}

interface LetterRow extends HeadRow {
  value: Buffer | null
  value_sha256: Buffer | null
  headers: Record<string, unknown>
  timestamp_ms: string | null
}

/** Milliseconds since 1970 of a time: the driver reads times only in the DateStyle ISO, which a role may have changed. */
function msOf(time: string): string {
  return `floor(extract(epoch FROM ${time}) * 1000)::bigint::text`
}

const HEAD = `cluster_id, partition, "offset", event_id, value_bytes, reason, sqlstate, message,
  ${msOf('created_at')} AS created_ms, state`
const WHOLE = `${HEAD}, value, value_sha256, headers, timestamp_ms`

/** The current pg_snapshot. created_at cannot tell which rows are visible: it is when their transactions began. */
export async function readSnapshot(db: Database): Promise<string> {
  const { rows } = await db.query<{ snapshot: string }>('SELECT pg_current_snapshot()::text AS snapshot')
  return rows[0]?.snapshot ?? ''
}

/** Counts the selected letters by cluster, reason and state. */
export async function countLetters(db: Database, selection: Selection): Promise<LetterGroup[]> {
  const { where, values } = whereOf(selection)
  const { rows } = await db.query<{
    cluster_id: string
    reason: string
    state: LetterState
    count: string
    oldest: string
    newest: string
  }>(
    `SELECT cluster_id, reason, state, count(*), ${msOf('min(created_at)')} AS oldest, ${msOf('max(created_at)')} AS newest
     FROM dead_letters WHERE ${where} GROUP BY cluster_id, reason, state ORDER BY cluster_id, reason, state`,
    values,
  )
  return rows.map(({ cluster_id, count, oldest, newest, ...row }) => ({
    ...row,
    clusterId: cluster_id,
    count: Number(count),
    oldest: new Date(Number(oldest)),
    newest: new Date(Number(newest)),
  }))
}

/** Reads the newest or oldest letters, without their values. */
export async function listLetters(
  db: Database,
  selection: Selection,
  order: 'newest' | 'oldest',
  limit: number,
): Promise<LetterHead[]> {
  const { where, values } = whereOf(selection)
  const by = order === 'newest' ? 'DESC' : 'ASC'
  const { rows } = await db.query<HeadRow>(
    `SELECT ${HEAD} FROM dead_letters WHERE ${where}
     ORDER BY created_at ${by}, cluster_id ${by}, partition ${by}, "offset" ${by} LIMIT ${limit}`,
    values,
  )
  return rows.map(headOf)
}

/**
 * Reads the next letters in key order: at most `maxLetters`, with values of at most `maxBytes` in total unless the first
 * one alone is larger.
 */
export async function readPage(
  db: Database,
  selection: Selection,
  maxLetters: number,
  maxBytes: number = Number.MAX_SAFE_INTEGER,
): Promise<PageItem[]> {
  const { where, values } = whereOf(selection)
  const { rows } = await db.query<{
    cluster_id: string
    partition: number
    offset: string
    value_bytes: string
    is_large: boolean
  }>(
    `SELECT cluster_id, partition, "offset", value_bytes, is_large FROM (
       SELECT *, sum(value_bytes) OVER (ORDER BY cluster_id, partition, "offset") AS total FROM (
         SELECT cluster_id, partition, "offset", value_bytes, value_sha256 IS NOT NULL AS is_large
         FROM dead_letters WHERE ${where}
         ORDER BY cluster_id, topic, partition, "offset" LIMIT ${maxLetters}) AS page) AS summed
     WHERE total <= ${maxBytes} OR total = value_bytes ORDER BY cluster_id, partition, "offset"`,
    values,
  )
  return rows.map((row) => ({
    ...keyOf(row),
    valueBytes: Number(row.value_bytes),
    isLarge: row.is_large,
  }))
}

/** Reads one whole letter; undefined if there is none. */
export async function readLetter(db: Database, topic: string, key: LetterKey): Promise<Letter | undefined> {
  const { rows } = await db.query<LetterRow>(
    `SELECT ${WHOLE} FROM dead_letters WHERE (cluster_id, topic, partition, "offset") = ($1, $2, $3, $4)`,
    [key.clusterId, topic, key.partition, key.offset.toString()],
  )
  return rows[0] === undefined ? undefined : letterOf(rows[0])
}

/**
 * Locks letters for this transaction: those that are still in this state and that no other transaction has locked.
 *
 * To avoid deadlocks, a replay locks letters first, then writes to `events`, then updates dead_letters. A sink that
 * dead-letters the same record again does not wait for a letter that is only locked, so it never waits for a replay that
 * waits for it.
 */
export async function lockLetters(
  db: Database,
  topic: string,
  keys: readonly LetterKey[],
  state: LetterState,
): Promise<Letter[]> {
  return (await lock<LetterRow>(db, topic, keys, state, WHOLE)).map(letterOf)
}

/** Does the same as lockLetters(), but returns the letters without their content. */
export async function lockHeads(
  db: Database,
  topic: string,
  keys: readonly LetterKey[],
  state: LetterState,
): Promise<LetterHead[]> {
  return (await lock<HeadRow>(db, topic, keys, state, HEAD)).map(headOf)
}

async function lock<R extends HeadRow>(
  db: Database,
  topic: string,
  keys: readonly LetterKey[],
  state: LetterState,
  columns: string,
): Promise<R[]> {
  const { rows } = await db.query<R>(
    `SELECT ${columns} FROM dead_letters
     WHERE topic = $1 AND state = $2 AND (cluster_id, partition, "offset") IN
       (SELECT * FROM unnest($3::text[], $4::int[], $5::bigint[]))
     ORDER BY cluster_id, partition, "offset" FOR UPDATE SKIP LOCKED`,
    [topic, state, ...columnsOf(keys)],
  )
  return rows
}

/** Changes the state of letters that this transaction has locked. */
export async function setState(
  db: Database,
  topic: string,
  keys: readonly LetterKey[],
  to: LetterState,
): Promise<void> {
  if (keys.length === 0) return
  const { rowCount } = await db.query(
    `UPDATE dead_letters SET state = $2 WHERE topic = $1 AND (cluster_id, partition, "offset") IN
       (SELECT * FROM unnest($3::text[], $4::int[], $5::bigint[]))`,
    [topic, to, ...columnsOf(keys)],
  )
  if (rowCount !== keys.length) throw new Error(`${rowCount} of ${keys.length} dead letters were changed`)
}

/** Writes history entries, in the transaction that changes the letters. */
export async function writeHistory(
  db: Database,
  topic: string,
  action: HistoryEntry['action'],
  entries: readonly { key: LetterKey; entry: Omit<HistoryEntry, 'at' | 'by' | 'action'> }[],
): Promise<void> {
  await db.query(
    `INSERT INTO dead_letter_history
       (topic, action, cluster_id, partition, "offset", outcome, event_id, reason, sqlstate, message)
     SELECT $1, $2, t.* FROM unnest($3::text[], $4::int[], $5::bigint[], $6::text[], $7::uuid[], $8::text[], $9::text[],
       $10::text[]) AS t`,
    [
      topic,
      action,
      ...columnsOf(entries.map(({ key }) => key)),
      entries.map(({ entry }) => entry.outcome),
      entries.map(({ entry }) => entry.eventId),
      entries.map(({ entry }) => entry.reason),
      entries.map(({ entry }) => entry.sqlstate),
      entries.map(({ entry }) => entry.message),
    ],
  )
}

/** Reads the history of a letter, oldest first. */
export async function readHistory(db: Database, topic: string, key: LetterKey): Promise<HistoryEntry[]> {
  const { rows } = await db.query<
    Omit<HistoryEntry, 'eventId' | 'at'> & { event_id: string | null; at: string }
  >(
    `SELECT ${msOf('at')} AS at, by, action, outcome, event_id, reason, sqlstate, message FROM dead_letter_history
     WHERE (cluster_id, topic, partition, "offset") = ($1, $2, $3, $4) ORDER BY id`,
    [key.clusterId, topic, key.partition, key.offset.toString()],
  )
  return rows.map(({ event_id, at, ...row }) => ({ ...row, at: new Date(Number(at)), eventId: event_id }))
}

function columnsOf(keys: readonly LetterKey[]): [string[], number[], string[]] {
  return [
    keys.map(({ clusterId }) => clusterId),
    keys.map(({ partition }) => partition),
    keys.map(({ offset }) => offset.toString()),
  ]
}

function keyOf(row: { cluster_id: string; partition: number; offset: string }): LetterKey {
  return { clusterId: row.cluster_id, partition: row.partition, offset: BigInt(row.offset) }
}

function headOf(row: HeadRow): LetterHead {
  return {
    ...keyOf(row),
    eventId: row.event_id,
    valueBytes: Number(row.value_bytes),
    reason: row.reason,
    sqlstate: row.sqlstate,
    message: row.message,
    createdAt: new Date(Number(row.created_ms)),
    state: row.state,
  }
}

function letterOf(row: LetterRow): Letter {
  return {
    ...headOf(row),
    value: row.value,
    sha256: row.value_sha256,
    headers: row.headers,
    timestampMs: row.timestamp_ms === null ? null : Number(row.timestamp_ms),
  }
}

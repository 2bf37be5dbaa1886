import type pg from 'pg'
import { runAtOnce } from './transaction.ts'

/** Pages of a window: 2 MiB, some ten thousand rows, so that who meets a row that is being deleted waits for moments. */
const WINDOW_PAGES = 256

/** A part of a table, with rows to delete. */
export interface Window {
  /** Pages: the first one, and the one after the last. */
  from: number
  to: number
  /** Of the rows, when they were counted. */
  count: number
}

/**
 * The windows of one table (not of its partitions) that have rows of a condition. One pass over all of them, so
 * that the deletion, window by window, takes no longer for the last rows than for the first.
 *
 * @param where SQL
 * @param settings of the transaction, as SQL
 * @throws the driver's error
 */
export async function findWindows(
  db: Pick<pg.ClientBase, 'query'>,
  table: string,
  where: string,
  ...settings: readonly string[]
): Promise<Window[]> {
  const { rows } = await runAtOnce<{ number: number; count: number }>(
    db,
    ...settings,
    `SELECT trunc((ctid::text::point)[0] / ${WINDOW_PAGES})::float8 AS "number", count(*)::float8 AS count
     FROM ONLY ${table} WHERE ${where} GROUP BY 1`,
  )
  return rows
    .map(({ number, count }) => ({ from: number * WINDOW_PAGES, to: (number + 1) * WINDOW_PAGES, count }))
    .toSorted((a, b) => a.from - b.from)
}

/** A condition that is true of the rows in it, as SQL. */
export function isInWindow({ from, to }: Window): string {
  return `ctid >= '(${from},0)' AND ctid < '(${to},0)'`
}

export function total(windows: readonly Window[]): number {
  return windows.reduce((sum, { count }) => sum + count, 0)
}

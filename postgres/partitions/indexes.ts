/* The indexes of `events` apart from its key. */

/** An index by what follows the name of its table, and by its definition. */
export interface IndexKind {
  suffix: string
  definition: string
}

/** One that finds the events of the user or visitor in this column. */
export interface UserIndex extends IndexKind {
  column: string
}

/**
 * Those that find the events of a user or of a visitor. Each table with rows has its own (no index of the root stands for
 * them), so that EVENTS_USER_INDEX may change from one leaf to the next.
 */
export const USER_INDEXES: readonly UserIndex[] = ['user_id', 'anonymous_id'].map((column) => ({
  column,
  suffix: `${column}_timestamp_idx`,
  definition: `(${column}, "timestamp") WHERE ${column} IS NOT NULL`,
}))

/**
 * Those that find a span of time. With several intervals for each range of pages, late rows do not widen the one that they
 * lie in; autosummarize covers pages as soon as they are full.
 */
export const TIME_INDEXES: readonly IndexKind[] = ['"timestamp"', 'received_at'].map((column) => ({
  suffix: `${column.replaceAll('"', '')}_idx`,
  definition: `USING brin (${column} timestamptz_minmax_multi_ops) WITH (autosummarize = on)`,
}))

/**
 * The statement that creates the index of a table, without a semicolon. PostgreSQL chooses the name, from those of the table
 * and the columns, so that it is never taken.
 *
 * @param on the table as SQL
 */
export function createIndex({ definition }: IndexKind, on: string, how: '' | 'CONCURRENTLY ' = ''): string {
  const using = definition.startsWith('USING') ? definition : `USING btree ${definition}`
  return `CREATE INDEX ${how}ON ${on} ${using}`
}

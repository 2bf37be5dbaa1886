/**
 * What the sink does about an error of PostgreSQL, by SQLSTATE
 * (https://www.postgresql.org/docs/18/errcodes-appendix.html). The one table of its kind.
 */
export type ErrorClass =
  /** The database is away or full: pause, try again with backoff. */
  | 'outage'
  /** Two transactions met (deadlock, serialization): try again at once, one partition at a time. */
  | 'contention'
  /** A key is there already: take the second path. */
  | 'unique_violation'
  /** The row's data, or a constraint or trigger of the user, refused a row: find it, bury it. */
  | 'row'
  /** The table, the rights or something unknown: pause aloud until a person has mended it. Nothing is buried. */
  | 'halt'

const BY_CODE: Record<string, ErrorClass> = {
  '23505': 'unique_violation',
  '55P03': 'outage', // lock_not_available: someone holds a lock on `events`
  '55006': 'outage', // object_in_use
  '25006': 'outage', // read_only_sql_transaction: a failover is under way
  '25P03': 'outage', // idle_in_transaction_session_timeout
  '25P04': 'outage', // transaction_timeout
  '3D000': 'outage', // invalid_catalog_name: the database is not there (yet)
  P0001: 'row', // raise_exception: a user's trigger
  P0004: 'row', // assert_failure: likewise
}

const BY_CLASS: Record<string, ErrorClass> = {
  '08': 'outage', // connection exception
  '22': 'row', // data exception
  '23': 'row', // integrity constraint violation
  '40': 'contention', // transaction rollback
  '44': 'row', // WITH CHECK OPTION violation
  '53': 'outage', // insufficient resources: disk full, too many connections
  '54': 'row', // program limit exceeded: JSON too deep, row too large for an index
  '57': 'outage', // operator intervention: shutdown, cancel
  '58': 'outage', // system error: I/O
}

/**
 * @param error whatever the driver rejected with. Without a SQLSTATE it comes from the connection (refused, reset,
 *   timed out): an outage. A mistake of our own (TypeError and the like) is a halt: it must be seen.
 */
export function classifyError(error: unknown): ErrorClass {
  if ((error as { needsPerson?: boolean } | null)?.needsPerson === true) return 'halt'
  const code = sqlstateOf(error)
  if (code !== undefined) return BY_CODE[code] ?? BY_CLASS[code.slice(0, 2)] ?? 'halt'
  const programming = [TypeError, RangeError, ReferenceError, SyntaxError]
  return programming.some((kind) => error instanceof kind) ? 'halt' : 'outage'
}

/** A time limit of the server's that a smaller transaction may keep. */
const TIMEOUT_CODES: ReadonlySet<string | undefined> = new Set([
  '57014', // query_canceled: statement_timeout
  '25P04', // transaction_timeout
])

/** Whether the transaction took too long, so that a smaller one may do. */
export function isTimeout(error: unknown): boolean {
  return (error as { isTimeout?: boolean } | null)?.isTimeout === true || TIMEOUT_CODES.has(sqlstateOf(error))
}

/** The SQLSTATE of an error, if PostgreSQL sent it (only then has it a severity); Node's codes (EPIPE) are none. */
export function sqlstateOf(error: unknown): string | undefined {
  const { code, severity } = (error ?? {}) as { code?: unknown; severity?: unknown }
  const isFromServer = typeof severity === 'string' && typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code)
  return isFromServer ? code : undefined
}

/** What a person can do about an error that names no remedy itself, by code or class. */
const REMEDIES: Record<string, string> = {
  '28': 'check the user and password in DATABASE_URL, and pg_hba.conf',
  '42': 'mend the table, or the trigger or function that raises it',
  '42P01': 'run "npm run migrate", or give the table its name back',
  '42703': 'run "npm run migrate", or mend the trigger that names this column',
  '3D000': 'create the database, then run "npm run migrate"',
  '42501': 'grant the sink the rights that it needs ("npm run migrate -- --sink-role" does)',
  '55000': 'make the unique constraints of "events" NOT DEFERRABLE',
  '53300': 'raise max_connections or run fewer workers',
}

/**
 * One line for people: PostgreSQL's message with its SQLSTATE and what to do, or the connection's code. Never the
 * row's data (`detail`).
 */
export function describeError(error: unknown): string {
  const { message = '', code, errors = [] } = error as { message?: string; code?: string; errors?: Error[] }
  // Several addresses were tried ("localhost" has two): the error that holds theirs has no message of its own.
  const text = message || errors.map((each) => each.message).join(', ') || String(error)
  const sqlstate = sqlstateOf(error)
  const remedy = sqlstate === undefined ? undefined : (REMEDIES[sqlstate] ?? REMEDIES[sqlstate.slice(0, 2)])
  return [
    text,
    code === undefined || text.includes(code) ? '' : ` (${code})`,
    remedy === undefined ? '' : `: ${remedy}`,
  ].join('')
}

/**
 * How the sink handles an error from PostgreSQL, by SQLSTATE
 * (https://www.postgresql.org/docs/18/errcodes-appendix.html). No other file classifies errors.
 */
import { FirehoseError, InvariantError } from '../../platform/errors.ts'

export type ErrorClass =
  /** The database is unavailable or full: pause, then retry with backoff. */
  | 'outage'
  /** Two transactions conflicted (deadlock, serialization failure): retry at once, one partition at a time. */
  | 'contention'
  /** The key exists already: take the staged path. */
  | 'unique_violation'
  /** A row was refused because of its data, or by a user's constraint or trigger: find it and dead-letter it. */
  | 'row'
  /** The table, the privileges or something unknown: pause until an operator has fixed it. Nothing is dead-lettered. */
  | 'halt'
  /** A mistake in the sink itself: end the process, because trying again would hide it. */
  | 'bug'

const BY_CODE: Record<string, ErrorClass> = {
  '23505': 'unique_violation',
  '55P03': 'outage', // lock_not_available: someone holds a lock on `events`
  '55006': 'outage', // object_in_use
  '25006': 'outage', // read_only_sql_transaction: a failover is under way
  '25P03': 'outage', // idle_in_transaction_session_timeout
  '25P04': 'outage', // transaction_timeout
  '3D000': 'outage', // invalid_catalog_name: the database does not exist (yet)
  P0001: 'row', // raise_exception: a user's trigger
  P0004: 'row', // assert_failure: a user's trigger
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
 * Classifies an error.
 *
 * @param error what the driver rejected with. An error without a SQLSTATE comes from the connection (refused, reset,
 *   timed out) and is an outage. A programming error of a driver (TypeError and the like) is a halt, so that someone
 *   notices it.
 */
export function classifyError(error: unknown): ErrorClass {
  if (error instanceof InvariantError) return 'bug'
  if (error instanceof FirehoseError && error.needsPerson) return 'halt'
  if (isLeafMissed(error)) return 'contention'
  const code = sqlstateOf(error)
  if (code !== undefined) return BY_CODE[code] ?? BY_CLASS[code.slice(0, 2)] ?? 'halt'
  const programming = [TypeError, RangeError, ReferenceError, SyntaxError]
  return programming.some((kind) => error instanceof kind) ? 'halt' : 'outage'
}

/**
 * Whether a row came to a leaf that does not take it: a COPY under way chose the leaf before an ATTACH of `firehose maintain`
 * narrowed its range. The next attempt finds the right one. PostgreSQL reports it as a check_violation without the name of
 * a constraint. So it does if a user's trigger raises one, or writes to a partitioned table of the user's that has no
 * partition for its row; but that is about the row of the event.
 */
function isLeafMissed(error: unknown): boolean {
  if (sqlstateOf(error) !== '23514') return false
  const {
    constraint,
    routine = '',
    where,
  } = error as { constraint?: string; routine?: string; where?: string }
  if (constraint !== undefined) return constraint.startsWith('firehose_')
  // The context begins with the innermost statement: that of a trigger, if it was one.
  return ROUTING.has(routine) && (where === undefined || where.startsWith('COPY events,'))
}

/** The functions of PostgreSQL's source that report it: a leaf refuses the row, or there is none for it. */
const ROUTING: ReadonlySet<string> = new Set(['ExecPartitionCheckEmitError', 'ExecFindPartition'])

/** Server timeouts within which a smaller transaction may succeed. */
const TIMEOUT_CODES: ReadonlySet<string | undefined> = new Set([
  '57014', // query_canceled: statement_timeout
  '25P04', // transaction_timeout
])

/** Whether the transaction took too long, so that a smaller one may succeed. */
export function isTimeout(error: unknown): boolean {
  return (error as { isTimeout?: boolean } | null)?.isTimeout === true || TIMEOUT_CODES.has(sqlstateOf(error))
}

/** The SQLSTATE of an error from PostgreSQL. Only those have a severity; Node's own codes (EPIPE) are not SQLSTATEs. */
export function sqlstateOf(error: unknown): string | undefined {
  const { code, severity } = (error ?? {}) as { code?: unknown; severity?: unknown }
  const isFromServer = typeof severity === 'string' && typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code)
  return isFromServer ? code : undefined
}

/** What an operator can do about an error, by the constraint (one of ours), by SQLSTATE or its class. */
const REMEDIES: Record<string, string> = {
  '28': 'check the user and password in DATABASE_URL, and pg_hba.conf',
  '42': 'fix the table, or the trigger or function that raises the error',
  '0A000': 'disable the row-level security of "events", or drop its rule ("npx firehose doctor" names it)',
  '23514':
    'no partition of "events" takes this row: run "npx firehose maintain --once", and see "npx firehose doctor"',
  firehose_not_era:
    'the table is being converted, and this event has to wait; if no "npx firehose maintain --convert" is running, run it',
  '25006':
    'point DATABASE_URL at the primary (with several hosts, add target_session_attrs=read-write), or set default_transaction_read_only to off',
  '42P01': 'run "npx firehose migrate", or rename the table back',
  '42703': 'run "npx firehose migrate", or fix the trigger that names this column',
  '3D000': 'create the database, then run "npx firehose migrate"',
  '42501':
    'grant it to the role. "npx firehose migrate --sink-role" grants what Firehose itself needs; if a trigger or a default of "events" needs more, GRANT that too, or make its function SECURITY DEFINER ("npx firehose doctor" names both)',
  '55000': 'make the unique constraints of "events" NOT DEFERRABLE',
  '53300': 'raise max_connections or run fewer workers',
}

/**
 * The error in one line for people: PostgreSQL's message, the SQLSTATE (or the connection's error code) and a remedy if
 * there is one. Never contains the row's data (`detail`).
 */
export function describeError(error: unknown): string {
  const { message = '', code, errors = [] } = error as { message?: string; code?: string; errors?: Error[] }
  // Several addresses were tried ("localhost" has two): an AggregateError has no message of its own.
  const text = message || errors.map((each) => each.message).join(', ') || String(error)
  const sqlstate = sqlstateOf(error)
  const { constraint } = error as { constraint?: string }
  const hasRemedy = sqlstate !== undefined && (sqlstate !== '23514' || isLeafMissed(error))
  const remedy = hasRemedy
    ? (REMEDIES[constraint ?? ''] ?? REMEDIES[sqlstate] ?? REMEDIES[sqlstate.slice(0, 2)])
    : undefined
  return [
    text,
    code === undefined || error instanceof FirehoseError || text.includes(code) ? '' : ` (${code})`,
    remedy === undefined ? '' : `: ${remedy}`,
  ].join('')
}

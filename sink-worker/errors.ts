/** The sink's own errors. Those of PostgreSQL are classified by outage/sqlstate.ts. */
import { FirehoseError } from '../platform/errors.ts'
import { changeUserId } from '../postgres/user-id-column.ts'
import { columnRepair } from './store/column-repair.ts'

/** Another worker has written this range: read the offsets again and continue from them. */
export class FenceLostError extends FirehoseError {
  readonly partition: number

  constructor(partition: number) {
    super(`partition ${partition} was written by another worker`, {
      code: 'FENCE_LOST',
      retryable: true,
      needsPerson: false,
    })
    this.partition = partition
  }
}

/** The columns of `events` do not have the types that the rows are encoded for. Nothing was written. */
export class TableMismatchError extends FirehoseError {
  /**
   * @param found the columns with their types, separated by commas, sorted by name
   * @param expected the same, as they should be
   */
  constructor(found: string, expected: string) {
    super(mismatch(found, expected), { code: 'TABLE_MISMATCH', retryable: true, needsPerson: true })
  }
}

function mismatch(found: string, expected: string): string {
  const [has, needs] = [found.split(', '), expected.split(', ')]
  const missing = needs.filter((column) => !has.includes(column)).map((column) => column.split(' ')[0])
  return found !== '' && has.every((column) => needs.includes(column))
    ? `"events" lacks the columns ${missing.join(', ')}: run "npx firehose migrate"; if they were dropped since, ${columnRepair(found, expected)}`
    : `the columns of "events" are (${found || 'none'}), expected (${expected}); restore their names and types, or run "npx firehose migrate" for a new one`
}

/** The type of the column user_id has changed since the rows were decoded: decode them again. Nothing was written. */
export class UserIdTypeChangedError extends FirehoseError {
  constructor(now: string) {
    super(`the column user_id of "events" has become ${now}; the records are read again`, {
      code: 'USER_ID_TYPE_CHANGED',
      retryable: true,
      needsPerson: false,
    })
  }
}

/** An API takes any string as user_id, but the column holds only integers. */
export class UserIdTypeError extends FirehoseError {
  constructor(partition: number, offset: bigint) {
    super(
      `partition ${partition}, offset ${offset}: an API with USER_ID_TYPE=text wrote a user_id that the column, which is bigint, cannot hold: ` +
        `${changeUserId('text')}; and set USER_ID_TYPE=text for migrate and all APIs`,
      { code: 'USER_ID_TYPE', retryable: true, needsPerson: true },
    )
  }
}

/** A user's trigger kept rows out without an error. The `staged` path finds out which. */
export class RowsKeptOutError extends FirehoseError {
  constructor(kept: number, of: number) {
    super(`${kept} of ${of} rows were kept out of "events"`, {
      code: 'ROWS_KEPT_OUT',
      retryable: true,
      needsPerson: false,
    })
  }
}

/** So many rows were refused that the table, not the rows, must be at fault. */
export class TooManyRefusedError extends FirehoseError {
  constructor(refused: number, of: number, cause: unknown) {
    const { code, constraint } = cause as { code?: string; constraint?: string }
    const by = [constraint, code].filter((part) => part !== undefined).join(', ')
    super(
      `${refused} of ${of} rows were refused${by === '' ? '' : ` (${by})`}, so nothing is dead-lettered: ` +
        'fix the constraint, trigger or table that refuses them',
      { code: 'TOO_MANY_REFUSED', retryable: true, needsPerson: true, cause },
    )
  }
}

/** dead_letters holds other records at the same coordinates: this is not the topic that was read before. */
export class DeadLetterMismatchError extends FirehoseError {
  constructor() {
    super(
      'dead_letters holds other records at the same coordinates: was the topic recreated? see "npx firehose adopt"',
      { code: 'DEAD_LETTER_MISMATCH', retryable: true, needsPerson: true },
    )
  }
}

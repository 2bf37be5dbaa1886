import { columnsFor, fieldsFor, TEXT_NAMES } from '../../event/fields.ts'
import { USER_ID_TYPES, type UserIdType } from '../../event/kinds.ts'
import type { Database } from '../../postgres/database.ts'
import { TableMismatchError } from '../errors.ts'

/* The table `events` as the sink uses it: the columns of the fields. It ignores columns that the user added. */

/** The check of what the client sent (event/record/sent-check.ts), which is no field of an event. */
const SENT_CHECK = { name: 'sent_check', type: 'bigint' }
const NAMES = [...columnsFor('bigint').map(({ name }) => name), SENT_CHECK.name]

/** The columns that the sink writes, in the order of the encoded rows. */
export const EVENT_COLUMNS = NAMES.map(column).join(', ')

const OPTIONAL: ReadonlySet<string> = new Set(TEXT_NAMES)
/** Those without the optional texts and the address: NULLs of them would take 0.4 us for each row. */
export const USUAL_COLUMNS = NAMES.filter((name) => !OPTIONAL.has(name))
  .map(column)
  .join(', ')

/** The table as it is in a transaction. */
export interface TableShape {
  userIdType: UserIdType
  /** Whether an optional column has a default, which a row without the column would get. */
  hasDefaults: boolean
}

/** The columns with their types, for a table that holds such rows. */
export function eventColumnDefinitions(userIdType: UserIdType): string {
  const fields = columnsFor(userIdType).map(
    ({ name, kind, missing }) => `${column(name)} ${kind.type}${missing === 'null' ? '' : ' NOT NULL'}`,
  )
  return [...fields, `${SENT_CHECK.name} ${SENT_CHECK.type}`].join(', ')
}

/**
 * What a client sent of a row, apart from the id, as a list of expressions: two events with one id are equal if these, or
 * the checks, are. Texts are compared by their bytes, whatever collation a column has.
 */
export function sentValues(table: string, userIdType: UserIdType): string {
  return fieldsFor(userIdType)
    .filter(({ name, isFromClient }) => isFromClient && name !== 'event_id')
    .map(({ name, kind }) => `${table}.${column(name)}${kind.type === 'text' ? ' COLLATE "C"' : ''}`)
    .join(', ')
}

/** The columns, sorted by name, with their types as format_type() spells them. */
export const EVENT_COLUMN_TYPES: Readonly<Record<UserIdType, string>> = {
  bigint: columnTypes('bigint'),
  text: columnTypes('text'),
}

function columnTypes(userIdType: UserIdType): string {
  return [
    ...columnsFor(userIdType).map(({ name, kind }) => `${name} ${kind.type}`),
    `${SENT_CHECK.name} ${SENT_CHECK.type}`,
  ]
    .toSorted()
    .join(', ')
}

/** The names of the columns as SQL literals. */
export const EVENT_COLUMN_NAMES = NAMES.map((name) => `'${name}'`).join(', ')

/** Returns one row, for tableShape(), with the column `types`. (quote_all_identifiers adds quotes.) */
export const READ_EVENT_COLUMN_TYPES = `
  SELECT string_agg(attname || ' ' || replace(format_type(atttypid, atttypmod), '"', ''), ', ' ORDER BY attname) AS types,
    bool_or(atthasdef AND attname IN (${TEXT_NAMES.map((name) => `'${name}'`).join(', ')})) AS "hasDefaults"
  FROM pg_attribute WHERE attrelid = 'events'::regclass AND NOT attisdropped
    AND attname IN (${EVENT_COLUMN_NAMES})`

/** The shape in the row that READ_EVENT_COLUMN_TYPES returned. @throws {TableMismatchError} */
export function tableShape(row: object): TableShape {
  const { types, hasDefaults } = row as { types: string | null; hasDefaults: boolean | null }
  const found = types ?? ''
  const userIdType = USER_ID_TYPES.find((type) => EVENT_COLUMN_TYPES[type] === found)
  if (userIdType === undefined) throw new TableMismatchError(found, expectedColumnTypes(found))
  return { userIdType, hasDefaults: hasDefaults ?? false }
}

/** EVENT_COLUMN_TYPES for the user_id that was found; if its type is neither, for the one that it can become. */
export function expectedColumnTypes(found: string): string {
  const isText = /(^|, )user_id (text|character|citext|name|uuid)/.test(found)
  return EVENT_COLUMN_TYPES[isText ? 'text' : 'bigint']
}

/** The type of user_id. @throws {TableMismatchError} or the driver's error */
export async function readUserIdType(db: Pick<Database, 'query'>): Promise<UserIdType> {
  const { rows } = await db.query(READ_EVENT_COLUMN_TYPES)
  return tableShape(rows[0] as object).userIdType
}

function column(name: string): string {
  return `"${name}"`
}

import { type Field, FIELDS } from '../../event/fields.ts'

/* The table `events` as the sink uses it: the columns of the fields. It ignores columns that the user added. */

/** The check of what the client sent (event/record/sent-check.ts), which is no field of an event. */
const SENT_CHECK = { name: 'sent_check', type: 'bigint' }
const NAMES = [...FIELDS.map(({ name }) => name), SENT_CHECK.name]

/** The columns that the sink writes, in the order of the encoded rows. */
export const EVENT_COLUMNS = NAMES.map(column).join(', ')

/** The columns with their types, for a table that holds such rows. */
export const EVENT_COLUMN_DEFINITIONS = [
  ...FIELDS.map(
    ({ name, kind, missing }: Field) =>
      `${column(name)} ${kind.type}${missing === 'null' ? '' : ' NOT NULL'}`,
  ),
  `${SENT_CHECK.name} ${SENT_CHECK.type}`,
].join(', ')

/** The columns of what a client sent, apart from the id: two events with one id are equal if these, or the checks, are. */
export const SENT_COLUMNS = FIELDS.filter(
  ({ name, isFromClient }) => isFromClient && name !== 'event_id',
).map(({ name }) => column(name))

/** The columns, sorted by name, with their types as format_type() spells them. */
export const EVENT_COLUMN_TYPES = [
  ...FIELDS.map(({ name, kind }) => `${name} ${kind.type}`),
  `${SENT_CHECK.name} ${SENT_CHECK.type}`,
]
  .toSorted()
  .join(', ')

/** The names of the columns as SQL literals. */
export const EVENT_COLUMN_NAMES = NAMES.map((name) => `'${name}'`).join(', ')

/** Returns one row with the column `types`, to compare with EVENT_COLUMN_TYPES. (quote_all_identifiers adds quotes.) */
export const READ_EVENT_COLUMN_TYPES = `
  SELECT string_agg(attname || ' ' || replace(format_type(atttypid, atttypmod), '"', ''), ', ' ORDER BY attname) AS types
  FROM pg_attribute WHERE attrelid = 'events'::regclass AND NOT attisdropped
    AND attname IN (${EVENT_COLUMN_NAMES})`

function column(name: string): string {
  return `"${name}"`
}

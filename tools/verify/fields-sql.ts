/*
 * How verify reads the fields of an event from a record, and compares them with a row: in SQL, and restated here, so that
 * a mistake in event/ is found.
 */

/** The type of the column user_id. */
export type UserIdType = 'bigint' | 'text'

/** The texts that a client may send; JSON null is the same as no member. */
const TEXTS = ['anonymous_id', 'event_name', 'event_type', 'session_id', 'source']
const SENT = ['user_id', '"timestamp"', ...TEXTS]
/** The source is judged on its own: of an event without one, a row has the label of the key. */
const BUT_SOURCE = SENT.filter((name) => name !== 'source')
/** What the API knows of the client. It belongs to one request, so that it may differ between two records of an event. */
const OF_CLIENT = ['ip_address', 'user_agent']

/** The form of a key's label, which the API stores as the source of an event that was sent without one. */
const KEY_LABEL = '^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$'

/** The members of a record that are not ignored, as SQL literals. */
const MEMBERS = ['event_id', ...SENT, 'received_at', 'key_label', ...OF_CLIENT, 'metadata']
  .map((name) => `'${name.replaceAll('"', '')}'`)
  .join(', ')

/** The columns of `events` that are compared, or needed for it. */
const COLUMNS = ['event_id', ...SENT, ...OF_CLIENT, 'metadata', 'received_at', 'sent_check']

/** These columns, each under its name. */
export function columns(type: UserIdType): string {
  const texts = [...TEXTS, 'user_agent', ...(type === 'text' ? ['user_id'] : [])]
  return COLUMNS.map((name) => (texts.includes(name) ? `${collated(name)} AS ${name}` : name)).join(', ')
}

/** The type of user_id, and the columns that the table lacks. */
export const TABLE = `
SELECT coalesce(max(format_type(atttypid, atttypmod)) FILTER (WHERE attname = 'user_id'), '') AS type,
  array_agg(name ORDER BY name) FILTER (WHERE attname IS NULL) AS missing
FROM unnest('{${COLUMNS.join(', ')}}'::text[]) AS name
LEFT JOIN pg_attribute ON attrelid = 'events'::regclass AND attname = name AND NOT attisdropped`

/** Functions for values that may be invalid: those become null. */
export const FUNCTIONS = String.raw`
-- The event's fields from an object that jsonb rejects because of a field that Firehose ignores: NUL, lone surrogates,
-- numbers out of range for numeric. (No row can hold these.) Escaped backslashes are replaced first, so that the rest of
-- the pattern matches only real escapes. The question mark keeps a name with such an escape from becoming a field's.
CREATE FUNCTION pg_temp.event_fields(body text) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
  SELECT jsonb_object_agg(key, value::text::jsonb) FROM json_each(regexp_replace(replace(body, '\\', '\u005c'),
    '\\u0000|\\u[dD][89abAB]\w\w(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB]\w\w)\\u[dD][c-fC-F]\w\w', '?', 'g')::json)
  WHERE key IN (${MEMBERS}) AND pg_input_is_valid(value::text, 'jsonb')
$$;
-- The JSON object in a value, or null. Nesting beyond the stack depth limit raises an error; it is not invalid input.
CREATE FUNCTION pg_temp.as_object(value bytea) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  body text;
  object jsonb;
BEGIN
  body := regexp_replace(convert_from(value, 'UTF8'), '^\uFEFF', '');
  BEGIN
    object := body::jsonb;
  EXCEPTION WHEN data_exception THEN
    IF pg_input_is_valid(body, 'json') AND body ~ '^\s*[{]' THEN object := pg_temp.event_fields(body); END IF;
  END;
  RETURN CASE WHEN jsonb_typeof(object) = 'object' THEN object END;
EXCEPTION WHEN data_exception OR statement_too_complex THEN
  RETURN NULL;
END $$;
CREATE FUNCTION pg_temp.as_uuid(value text) RETURNS uuid LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  RETURN CASE WHEN pg_input_is_valid(value, 'uuid') THEN value::uuid END;
END $$;
CREATE FUNCTION pg_temp.as_bigint(value text) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  whole text := regexp_replace(value, '[.]0+$', '');
BEGIN
  RETURN CASE WHEN pg_input_is_valid(whole, 'bigint') THEN whole::bigint END;
END $$;
-- A user_id of the type text: an integer is its digits, however it was written (42.0, 4.2e1).
CREATE FUNCTION pg_temp.as_user_text(value jsonb) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  RETURN CASE jsonb_typeof(value) WHEN 'string' THEN value #>> '{}'
    WHEN 'number' THEN pg_temp.as_bigint(value #>> '{}')::text END;
END $$;
-- The time that a UUIDv7 begins with; null for other ids.
CREATE FUNCTION pg_temp.time_of_id(id uuid) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN substr(id::text, 15, 1) = '7' THEN 'epoch'::timestamptz +
    ('x' || left(translate(id::text, '-', ''), 12))::bit(48)::bigint * interval '1 millisecond' END
$$;
CREATE FUNCTION pg_temp.as_inet(value text) RETURNS inet LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  RETURN CASE WHEN pg_input_is_valid(value, 'inet') THEN value::inet END;
END $$;
-- PostgreSQL rounds digits past the microsecond; Firehose truncates them. PostgreSQL knows no fraction after a comma, no
-- annotations (RFC 9557), and no fraction of the leap second before midnight.
CREATE FUNCTION pg_temp.as_time(value text) RETURNS timestamptz LANGUAGE plpgsql STABLE AS $$
DECLARE
  plain text := regexp_replace(regexp_replace(value, '(\[[^]]*\])+$', ''), ',(?=\d)', '.');
  is_leap boolean := plain ~ '^.{11}23:59:60[.]';
BEGIN
  IF is_leap THEN plain := overlay(plain placing '59' from 18); END IF;
  RETURN CASE WHEN pg_input_is_valid(plain, 'timestamptz')
    THEN regexp_replace(plain, '([.]\d{6})\d+', '\1')::timestamptz + is_leap::int * interval '1 second' END;
END $$;
`

/** SQL expressions that parse the text of a record. */
export interface Reading {
  object(bytes: string): string
  uuid(text: string): string
  userId(value: string, type: UserIdType): string
  time(text: string): string
  address(text: string): string
}

/** For any record: invalid values become null. Takes three times as long as plain casts. */
export const CAREFUL: Reading = {
  object: (bytes) => `pg_temp.as_object(${bytes})`,
  uuid: (text) => `pg_temp.as_uuid(${text})`,
  userId: (value, type) =>
    type === 'text' ? `pg_temp.as_user_text(${value})` : `pg_temp.as_bigint(${value} #>> '{}')`,
  time: (text) => `pg_temp.as_time(${text})`,
  address: (text) => `pg_temp.as_inet(${text})`,
}

/** For valid records, which are nearly all: an invalid value fails the statement. */
export const PLAIN: Reading = {
  object: (bytes) => `convert_from(${bytes}, 'UTF8')::jsonb`,
  uuid: (text) => `(${text})::uuid`,
  userId: (value, type) =>
    type === 'text'
      ? `CASE WHEN jsonb_typeof(${value}) = 'number' THEN trim_scale((${value})::numeric)::text::bigint::text ELSE ${value} #>> '{}' END`
      : `(${value} #>> '{}')::bigint`,
  // A timestamp of at most 27 characters has no digits past the microsecond.
  time: (text) =>
    `CASE WHEN length(${text}) <= 27 THEN (${text})::timestamptz ELSE pg_temp.as_time(${text}) END`,
  address: (text) => `(${text})::inet`,
}

/** What was sent, from `o.object`, as a list of expressions. */
export function sentFields(as: Reading, type: UserIdType): string {
  const userId = as.userId(`(o.object -> 'user_id')`, type)
  const texts = TEXTS.map((name) => `${textOf(name)} AS ${name}`)
  return `${type === 'text' ? collated(userId) : userId} AS user_id, ${as.time(`o.object ->> 'timestamp'`)} AS "timestamp",
    ${texts.join(', ')}, o.object -> 'metadata' AS metadata`
}

/** What the API recorded of the key and the client, from `o.object`. */
export function clientFields(as: Reading): string {
  return `${textOf('key_label')} AS key_label, ${as.address(`o.object ->> 'ip_address'`)} AS ip_address,
    ${textOf('user_agent')} AS user_agent`
}

/** Texts are compared by their bytes, whatever collation a column has. */
function collated(text: string): string {
  return `(${text}) COLLATE "C"`
}

function textOf(name: string): string {
  return collated(`o.object ->> '${name}'`)
}

/** Whether all that was sent, except metadata, is the same in two relations. */
export function isSameSent(a: string, b: string): string {
  return isSame(SENT, a, b)
}

/** The same without the source, for isSameSource(). */
export function isSameButSource(a: string, b: string): string {
  return isSame(BUT_SOURCE, a, b)
}

/**
 * Whether a row has the source of a record: the one that was sent, else the label of the key. The label belongs to one
 * request: if the record did not make the row, the row may have another label, or none. Then the checks of what was sent say
 * whether neither event had a source of its own.
 *
 * @param check that of the record; null if the record is in another form than the API's
 */
export function isSameSource(row: string, record: string, check: string): string {
  return `CASE WHEN ${record}.source IS NOT NULL THEN ${row}.source IS NOT DISTINCT FROM ${record}.source
    ELSE ${row}.source IS NOT DISTINCT FROM ${record}.key_label OR ${row}.received_at IS DISTINCT FROM ${record}.received_at
      AND (${check} IS NULL OR ${row}.sent_check IS NOT DISTINCT FROM ${check}) END`
}

export function isSameClient(a: string, b: string): string {
  return isSame(OF_CLIENT, a, b)
}

function isSame(names: readonly string[], a: string, b: string): string {
  return names.map((name) => `${a}.${name} IS NOT DISTINCT FROM ${b}.${name}`).join(' AND ')
}

/** Arguments of concat_ws(): the names of what differs, apart from the source. */
export function differencesButSource(a: string, b: string): string {
  return differences(BUT_SOURCE, a, b)
}

/** The same of a row and what a client sent, to which the API may have added a source. */
export function differencesFromSent(stored: string, sent: string): string {
  return SENT.map((name) => named(name, differsFromSent(name, stored, sent))).join(', ')
}

export function clientDifferences(a: string, b: string): string {
  return differences(OF_CLIENT, a, b)
}

function differences(names: readonly string[], a: string, b: string): string {
  return names.map((name) => named(name, `${a}.${name} IS DISTINCT FROM ${b}.${name}`)).join(', ')
}

function differsFromSent(name: string, stored: string, sent: string): string {
  const differs = `${stored}.${name} IS DISTINCT FROM ${sent}.${name}`
  if (name !== 'source') return differs
  return `${differs} AND NOT (${sent}.source IS NULL AND ${stored}.source ~ '${KEY_LABEL}')`
}

function named(name: string, differs: string): string {
  return `CASE WHEN ${differs} THEN '${name.replaceAll('"', '')}' END`
}

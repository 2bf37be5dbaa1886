/**
 * THE table of an event's fields. Validation, fault texts, general decoding, the columns, staging, COPY, the JSON Schemas
 * and the OpenAPI document follow from it. Two things do not: the fast paths, which know the fields by their bytes
 * (record/layout.ts), and tools/verify/fields-sql.ts, an independent restatement.
 */
import type { JsonScan } from './json/scan-result.ts'
import { parseInet } from './inet.ts'
import {
  INT8_MAX,
  INT8_MIN,
  readAddress,
  readObject,
  readText,
  readTimestampValue,
  readUserId,
  readUserIdText,
  readUuid,
} from './read-value.ts'
import { toPostgresMicros } from './timestamp.ts'

declare global {
  interface JSON {
    /** A number that is printed as it is (https://tc39.es/proposal-json-parse-with-source/). */
    rawJSON(text: string): object
    isRawJSON(value: unknown): boolean
  }
}

/** A string of JSON Schema without the character NUL, which PostgreSQL cannot hold. */
export const NO_NUL = '^[^\\u0000]*$'

/** A value of PostgreSQL's int8; a number only if it is a safe integer. */
export type Int8 = number | bigint

/** The type of user_id (USER_ID_TYPE), for the API and as the column has it. */
export const USER_ID_TYPES = ['bigint', 'text'] as const
export type UserIdType = (typeof USER_ID_TYPES)[number]

/** How the values of one type are read, stored and described. */
interface Kind {
  /** PostgreSQL's type, as format_type() spells it. */
  readonly type: 'uuid' | 'bigint' | 'text' | 'timestamp with time zone' | 'inet' | 'jsonb'
  /** Whether the value stands between quotes in a record. */
  readonly isQuoted: boolean
  /** The canonical value of member `i`; undefined if it is not valid. */
  readonly read: (buf: Buffer, scan: JsonScan, i: number) => string | Buffer | undefined
  /** The value of a row, from the canonical one. */
  readonly toStored: (canonical: never) => string | Int8 | Buffer
  /** The most characters of a text. */
  readonly characters?: number
  /** A valid value in a request: "<name> must be ...". */
  readonly expected: string
  /** An invalid value in a record: "<name> is not ...". */
  readonly named: string
  readonly schema: object
}

const UUID = {
  type: 'uuid',
  isQuoted: true,
  read: readUuid,
  toStored: (text: string): string => text,
  expected: 'a UUID as a string, such as "0198c0de-7a5b-7000-8000-0123456789ab"',
  named: 'a UUID',
  schema: {
    type: 'string',
    pattern: '^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$',
  },
} satisfies Kind

const INT8 = {
  type: 'bigint',
  isQuoted: false,
  read: readUserId,
  toStored: (text: string): Int8 => BigInt(text),
  expected: `an integer from ${INT8_MIN} to ${INT8_MAX}, as a number, or as its digits in a string`,
  named: 'an integer within int8',
  schema: {
    anyOf: [
      // Beyond 2^53: as numbers of JavaScript they would be rounded.
      { type: 'integer', minimum: JSON.rawJSON(INT8_MIN), maximum: JSON.rawJSON(INT8_MAX) },
      { type: 'string', pattern: `^(-?(${digitsUpTo(INT8_MAX)})|${INT8_MIN})$` },
    ],
  },
} satisfies Kind

/** Characters of an id or a name, and of what only classifies an event. */
export const ID_CHARACTERS = 255
const CLASS_CHARACTERS = 100
/** Of a User-Agent; the API cuts a longer one. */
export const USER_AGENT_CHARACTERS = 1_000

const unescaped = (text: string): string => JSON.parse(`"${text}"`) as string

function textUpTo(max: number) {
  return {
    type: 'text',
    isQuoted: true,
    read: (buf: Buffer, scan: JsonScan, i: number): string | undefined => readText(buf, scan, i, max),
    toStored: (text: string): Buffer => Buffer.from(text.includes('\\') ? unescaped(text) : text),
    characters: max,
    expected: `a string of 1 to ${max} characters`,
    named: `a string of 1 to ${max} characters`,
    schema: { type: 'string', minLength: 1, maxLength: max, pattern: NO_NUL },
  } satisfies Kind
}
const ID_TEXT = textUpTo(ID_CHARACTERS)
const CLASS_TEXT = textUpTo(CLASS_CHARACTERS)
const USER_AGENT_TEXT = textUpTo(USER_AGENT_CHARACTERS)

/** A user_id of USER_ID_TYPE=text. Its canonical text has the quotes of the record, so that both types are encoded alike. */
const USER_ID_TEXT = {
  type: 'text',
  isQuoted: false,
  read: (buf: Buffer, scan: JsonScan, i: number): string | undefined =>
    readUserIdText(buf, scan, i, ID_CHARACTERS),
  toStored: (text: string): Buffer => ID_TEXT.toStored(text.slice(1, -1)),
  expected: `${ID_TEXT.expected}, or an integer from ${INT8_MIN} to ${INT8_MAX}`,
  named: `${ID_TEXT.named}, or an integer within int8`,
  schema: { anyOf: [ID_TEXT.schema, INT8.schema.anyOf[0]] },
} satisfies Kind

/** A kind of user_id as one of both, so that the types of events and rows allow either. */
const asUserId = (kind: typeof INT8 | typeof USER_ID_TEXT): typeof kind => kind

const INET = {
  type: 'inet',
  isQuoted: true,
  read: readAddress,
  toStored: (text: string): Buffer => parseInet(text)!,
  characters: 43, // of an IPv6 network
  expected: 'an IP address or a network as a string',
  named: 'an IP address or a network',
  schema: { type: 'string' },
} satisfies Kind

/** A date that exists, in the years 0001 to 9999. */
const DATE_PATTERN = (() => {
  const year = '([0-9]{3}[1-9]|[0-9]{2}[1-9]0|[0-9][1-9]00|[1-9]000)'
  const leap = '(0[48]|[2468][048]|[13579][26])'
  const anyYear = `${year}-((0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])|(0[13-9]|1[0-2])-(29|30)|(0[13578]|1[02])-31)`
  return `(${anyYear}|([0-9]{2}${leap}|${leap}00)-02-29)`
})()

const TIMESTAMPTZ = {
  type: 'timestamp with time zone',
  isQuoted: true,
  read: readTimestampValue,
  toStored: (text: string): Int8 => toPostgresMicros(text),
  expected:
    'a date and time as a string, such as "2025-01-31T12:00:00.5Z" or "2025-01-31 13:00:00+01:00": an existing date in the years 0001 to 9999 (UTC), hours 00-23, UTC if there is no offset; milliseconds since 1970 are sent as new Date(milliseconds).toISOString()',
  named: 'a date and time',
  schema: {
    type: 'string',
    pattern: `^${DATE_PATTERN}([Tt ]([01][0-9]|2[0-3]):[0-5][0-9](:([0-5][0-9]|60)([.,][0-9]+)?)?( ?([Zz]|UTC|[+-](0[0-9]|1[0-5])(:?[0-5][0-9])?)(\\[[!-Z^-~]+\\])*)?)?$`,
  },
} satisfies Kind

const JSONB_OBJECT = {
  type: 'jsonb',
  isQuoted: false,
  read: readObject,
  toStored: (text: Buffer): Buffer => text,
  expected: 'a JSON object',
  named: 'a JSON object',
  schema: { type: 'object', $ref: '#/$defs/JsonValue' },
} satisfies Kind

interface FieldRow {
  /** The name in JSON and of the column. */
  readonly name: string
  /** The property of CanonicalEvent and EventRow. */
  readonly key: string
  readonly kind: Kind
  /** Whether a client may send it; if not, the API sets it, and a request that has it is refused. */
  readonly isFromClient: boolean
  /**
   * What happens without it: the request and the record are refused, the API or the sink fills it in, or it is NULL. In
   * the last case, the JSON value null is the same as no member.
   */
  readonly missing: 'refused' | 'filled' | 'null'
  /** It is only NULL if the event has this other field; else the event is refused. */
  readonly unless?: string
  /** For the JSON Schemas, of events and of records. */
  readonly about: { readonly event?: string; readonly record: string }
  readonly examples: { readonly event?: readonly unknown[]; readonly record: readonly unknown[] }
}

/**
 * In the order in which a record has them and COPY writes them: what the API sets is together, because it is no part of the
 * event's identity (record/sent-check.ts), and metadata, which are copied, are last.
 */
export const FIELDS = [
  {
    name: 'event_id',
    key: 'eventId',
    kind: UUID,
    isFromClient: true,
    missing: 'filled',
    about: {
      event:
        'The identity of the event: an event sent again with the same id is stored only once. Generated by the server (UUIDv7) if missing.',
      record: 'If missing: a UUIDv5 of cluster, topic, partition and offset.',
    },
    examples: {
      event: ['0198c0de-7a5b-7000-8000-0123456789ab'],
      record: ['0198c0de-7a5b-7000-8000-0123456789ab'],
    },
  },
  {
    name: 'user_id',
    key: 'userId',
    kind: asUserId(INT8),
    isFromClient: true,
    missing: 'null',
    unless: 'anonymous_id',
    about: {
      event:
        'The user who caused the event: a 64-bit signed integer, as a string where numbers would be rounded (JavaScript beyond 2^53). With USER_ID_TYPE=text, any string of 1 to 255 characters. Required unless anonymous_id is there.',
      record:
        'A 64-bit signed integer, or its digits as a string; if the column is text, any string of 1 to 255 characters. Required unless anonymous_id is there.',
    },
    examples: { event: [42, '157963456373623803'], record: [42] },
  },
  {
    name: 'timestamp',
    key: 'timestamp',
    kind: TIMESTAMPTZ,
    isFromClient: true,
    missing: 'refused',
    about: {
      event:
        'When the event happened: RFC 3339, or what common libraries print, such as `2025-01-31 13:00:00 +0100`, `2025-01-31T12:00Z` or `2025-01-31`. A missing offset means UTC. Digits after the microseconds are truncated.',
      record: 'When the event happened; a missing offset means UTC.',
    },
    examples: {
      event: ['2025-01-31T12:00:00.5Z', '2025-01-31T13:00:00+01:00'],
      record: ['2025-01-31T12:00:00.000000Z'],
    },
  },
  {
    name: 'anonymous_id',
    key: 'anonymousId',
    kind: ID_TEXT,
    isFromClient: true,
    missing: 'null',
    about: { event: 'The visitor, as long as the user is not known.', record: 'The visitor.' },
    examples: { event: ['5d1f0c3e-anonymous'], record: ['5d1f0c3e-anonymous'] },
  },
  {
    name: 'event_name',
    key: 'eventName',
    kind: ID_TEXT,
    isFromClient: true,
    missing: 'null',
    about: { event: 'What happened.', record: 'What happened.' },
    examples: { event: ['checkout_completed'], record: ['checkout_completed'] },
  },
  {
    name: 'event_type',
    key: 'eventType',
    kind: CLASS_TEXT,
    isFromClient: true,
    missing: 'null',
    about: { event: 'The kind of event.', record: 'The kind of event.' },
    examples: { event: ['track'], record: ['track'] },
  },
  {
    name: 'session_id',
    key: 'sessionId',
    kind: ID_TEXT,
    isFromClient: true,
    missing: 'null',
    about: { event: 'The session or visit that the event belongs to.', record: 'The session.' },
    examples: { event: ['s-20250131-7f'], record: ['s-20250131-7f'] },
  },
  {
    name: 'source',
    key: 'source',
    kind: CLASS_TEXT,
    isFromClient: true,
    missing: 'null',
    about: { event: 'The site, app or service that sent the event.', record: 'What sent the event.' },
    examples: { event: ['web-shop'], record: ['web-shop'] },
  },
  {
    name: 'received_at',
    key: 'receivedAt',
    kind: TIMESTAMPTZ,
    isFromClient: false,
    missing: 'filled',
    about: {
      record:
        'When the API received the event. If missing: the time at which Kafka appended the record, or, on a topic with message.timestamp.type=CreateTime, the time that its producer gave it.',
    },
    examples: { record: ['2025-01-31T12:00:00.250000Z'] },
  },
  {
    name: 'ip_address',
    key: 'ipAddress',
    kind: INET,
    isFromClient: false,
    missing: 'null',
    about: { record: "The client's address, or its network (CAPTURE_CLIENT)." },
    examples: { record: ['203.0.113.7', '2001:db8:1::/48'] },
  },
  {
    name: 'user_agent',
    key: 'userAgent',
    kind: USER_AGENT_TEXT,
    isFromClient: false,
    missing: 'null',
    about: { record: "The client's User-Agent (CAPTURE_CLIENT)." },
    examples: { record: ['Mozilla/5.0 (X11; Linux x86_64)'] },
  },
  {
    name: 'metadata',
    key: 'metadata',
    kind: JSONB_OBJECT,
    isFromClient: true,
    missing: 'refused',
    about: {
      event: 'Any other data: stored as jsonb, exactly as PostgreSQL reads the text that was sent.',
      record: 'Stored as jsonb.',
    },
    examples: { event: [{ page: '/pricing' }], record: [{ page: '/pricing' }] },
  },
] as const satisfies readonly FieldRow[]

type Row = (typeof FIELDS)[number]
export type FieldName = Row['name']
/** A field without the literal types of its row, for code that treats all fields alike. */
export type Field = FieldRow & { readonly name: FieldName; readonly key: Row['key'] }

type Client = Extract<Row, { isFromClient: true }>
type Nullable = Extract<Row, { missing: 'null' }>
/** The optional texts: many rows have none, so a row has them together (record/row-texts.ts). */
type Text = Exclude<Extract<Nullable, { kind: { type: 'text' } }>, { name: 'user_id' }>

type Canonical<F extends Row> = Exclude<ReturnType<F['kind']['read']>, undefined>
type Stored<F extends Row> = ReturnType<F['kind']['toStored']>

/** The table with the user_id of a type. */
const TABLES: Readonly<Record<UserIdType, readonly Field[]>> = {
  bigint: FIELDS,
  text: FIELDS.map((field: Field) => (field.name === 'user_id' ? { ...field, kind: USER_ID_TEXT } : field)),
}
export function fieldsFor(userIdType: UserIdType): readonly Field[] {
  return TABLES[userIdType]
}

/** What a client may send, the fields first that an event may not lack. */
export function clientFields(userIdType: UserIdType): readonly Field[] {
  const mayLack = ({ missing, unless }: Field): boolean => missing !== 'refused' && unless === undefined
  return fieldsFor(userIdType)
    .filter(({ isFromClient }) => isFromClient)
    .toSorted((a, b) => Number(mayLack(a)) - Number(mayLack(b)))
}

/** An event accepted by the API, with every field in its canonical text. `metadata` is a view of the body, not a copy. */
export type CanonicalEvent = {
  readonly [F in Exclude<Client, Nullable> as F['key']]: Canonical<F>
} & { readonly [F in Extract<Client, Nullable> as F['key']]?: Canonical<F> | undefined }

/** The optional texts of a row, in the order of TEXT_NAMES. */
export interface RowTexts {
  readonly bytes: Buffer
  /** Where each text stands: `[starts[k], ends[k])`, which is empty if the row lacks it. */
  readonly starts: readonly number[]
  readonly ends: readonly number[]
}

/** A row of `events`. Times are microseconds since 2000-01-01 UTC, PostgreSQL's binary timestamptz. */
export type EventRow = {
  readonly [F in Exclude<Row, Nullable> as F['key']]: Stored<F>
} & { readonly [F in Exclude<Nullable, Text> as F['key']]?: Stored<F> | undefined } & {
  readonly texts?: RowTexts | undefined
  /** The column sent_check, which is no field of a record: record/sent-check.ts. */
  readonly sentCheck: Int8
  /** At least the bytes of all values whose length varies (text, inet, jsonb), and hardly more. */
  readonly variableBytes: number
}

export type TextName = Text['name']
/** The order of the optional texts in a row: that of a record. ip_address, which is no text in a row, has a place, too. */
export const TEXT_NAMES: readonly FieldName[] = FIELDS.filter(
  ({ name, missing }) => missing === 'null' && name !== 'user_id',
).map(({ name }) => name)

const NAMES: readonly string[] = FIELDS.map(({ name }) => name)
const numberOf = (name: FieldName): number => NAMES.indexOf(name)
/** Positions in the table. */
export const EVENT_ID = numberOf('event_id')
export const USER_ID = numberOf('user_id')
export const TIMESTAMP = numberOf('timestamp')
export const ANONYMOUS_ID = numberOf('anonymous_id')
export const RECEIVED_AT = numberOf('received_at')
export const IP_ADDRESS = numberOf('ip_address')
export const USER_AGENT = numberOf('user_agent')
export const METADATA = numberOf('metadata')
/** Not in the table. */
export const UNKNOWN = -1

/** The fields that an event may not lack, unless it has the other one. */
const NEEDED = FIELDS.flatMap(({ name, missing, unless }: Field) =>
  missing === 'refused' || unless !== undefined
    ? [{ n: numberOf(name), unless: unless === undefined ? UNKNOWN : NAMES.indexOf(unless) }]
    : [],
)
/** The positions of the fields that an event lacks. @param has whether it has the field at a position */
export function lackingFields(has: (n: number) => boolean): number[] {
  return NEEDED.filter(({ n, unless }) => !has(n) && (unless === UNKNOWN || !has(unless))).map(({ n }) => n)
}

const NAME_BYTES = NAMES.map((name) => Buffer.from(name))
/** The fields whose names begin with a byte. */
const BY_FIRST_BYTE: readonly (readonly number[])[] = Array.from({ length: 256 }, (_, byte) =>
  NAME_BYTES.flatMap((name, n) => (name[0] === byte ? [n] : [])),
)

/** The position in the table of member `i`, also if its name is escaped; UNKNOWN if there is none. */
export function fieldOf(buf: Buffer, scan: JsonScan, i: number): number {
  if (scan.nameIsEscaped[i] === 1) return NAMES.indexOf(scan.name(buf, i))
  const start = scan.nameStart[i]!
  const length = scan.nameEnd[i]! - start
  for (const n of BY_FIRST_BYTE[buf[start]!]!) if (isName(buf, start, length, NAME_BYTES[n]!)) return n
  return UNKNOWN
}

function isName(buf: Buffer, start: number, length: number, name: Buffer): boolean {
  if (length !== name.length) return false
  for (let at = 1; at < length; at++) if (buf[start + at] !== name[at]) return false
  return true
}

/** A regular expression for the decimal numbers from 0 to `max` without leading zeros. */
function digitsUpTo(max: string): string {
  const sameLength = max.split('').map((digit, i) => {
    const rest = max.length - 1 - i
    return `${max.slice(0, i)}[${i === 0 ? 1 : 0}-${Number(digit) - 1}][0-9]{${rest}}`
  })
  const smaller = sameLength.filter((_, i) => Number(max[i]) > (i === 0 ? 1 : 0))
  return ['0', `[1-9][0-9]{0,${max.length - 2}}`, ...smaller, max].join('|')
}

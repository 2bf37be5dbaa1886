/** The kinds of values that fields have: how each is read, stored and described. The table of fields: fields.ts. */
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
export interface Kind {
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

export const UUID = {
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

export const INT8 = {
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
export const ID_TEXT = textUpTo(ID_CHARACTERS)
export const CLASS_TEXT = textUpTo(CLASS_CHARACTERS)
export const USER_AGENT_TEXT = textUpTo(USER_AGENT_CHARACTERS)

/** A user_id of USER_ID_TYPE=text. Its canonical text has the quotes of the record, so that both types are encoded alike. */
export const USER_ID_TEXT = {
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
export const asUserId = (kind: typeof INT8 | typeof USER_ID_TEXT): typeof kind => kind

export const INET = {
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

export const TIMESTAMPTZ = {
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

export const JSONB_OBJECT = {
  type: 'jsonb',
  isQuoted: false,
  read: readObject,
  toStored: (text: Buffer): Buffer => text,
  expected: 'a JSON object',
  named: 'a JSON object',
  schema: { type: 'object', $ref: '#/$defs/JsonValue' },
} satisfies Kind

/** A regular expression for the decimal numbers from 0 to `max` without leading zeros. */
function digitsUpTo(max: string): string {
  const sameLength = max.split('').map((digit, i) => {
    const rest = max.length - 1 - i
    return `${max.slice(0, i)}[${i === 0 ? 1 : 0}-${Number(digit) - 1}][0-9]{${rest}}`
  })
  const smaller = sameLength.filter((_, i) => Number(max[i]) > (i === 0 ? 1 : 0))
  return ['0', `[1-9][0-9]{0,${max.length - 2}}`, ...smaller, max].join('|')
}

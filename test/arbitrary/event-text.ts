/** Generators for texts of valid and nearly valid events, and for their fields. */
import * as fc from 'fast-check'
import { jsonText, numberText, objectText, space } from './json-text.ts'
import { dateTimeText } from './timestamp-text.ts'

/** Generates `usual` nine times out of ten. */
const mostly = (usual: fc.Arbitrary<string>, ...others: fc.Arbitrary<string>[]): fc.Arbitrary<string> =>
  fc.oneof({ weight: 9 * others.length, arbitrary: usual }, ...others)

const quoted = (text: fc.Arbitrary<string>): fc.Arbitrary<string> => text.map((inner) => `"${inner}"`)

const int8 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String)
const userId = mostly(
  int8,
  numberText,
  fc.constantFrom('"1"', 'null', '1.0', '1e3', '-0', '9223372036854775808'),
)

const instant = fc
  .date({ min: new Date('0001-01-02T00:00:00Z'), max: new Date('9999-12-30T00:00:00Z'), noInvalidDate: true })
  .map((date) => date.toISOString())
const timestamp = mostly(
  quoted(instant),
  quoted(dateTimeText),
  fc.constantFrom('1738324800', 'null', '"now"', '""'),
)

const uuid = fc.uuid().chain((text) => fc.constantFrom(text, text.toUpperCase()))
const eventId = mostly(quoted(uuid), fc.constantFrom('null', '""', '1', '"0198c0de7a5b700080000123456789ab"'))

const smallObject = fc.json({ maxDepth: 2 }).map((text) => `{"a": ${text}}`)
const metadata = mostly(smallObject, objectText, fc.constantFrom('[]', 'null', '"{}"', '{"a":"\\u0000"}'))

/** Strings of all characters that PostgreSQL holds; some longer than a limit, if only in UTF-16. */
export const anyText: fc.Arbitrary<string> = fc.oneof(
  { weight: 6, arbitrary: fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 12 }) },
  {
    weight: 3,
    arbitrary: fc
      .string({ unit: 'binary', minLength: 1, maxLength: 20 })
      .map((text) => text.replaceAll('\0', '0')),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      '"',
      '\\',
      '\u001f',
      '\u007f',
      '\u2028',
      'é',
      '\ufeff',
      ' ',
      '\n',
      '/',
      '1',
      'null',
    ),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom('a', 'é', '😀'), fc.constantFrom(99, 100, 101, 254, 255, 256))
      .map(([character, length]) => character.repeat(length)),
  },
)

/** A string as JSON, sometimes with escapes that it does not need. */
export const jsonString = (text: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc
    .tuple(text, fc.oneof({ weight: 3, arbitrary: fc.constant(-1) }, fc.nat({ max: 20 })))
    .map(([value, at]) => {
      if (at < 0 || at >= value.length) return JSON.stringify(value)
      const escaped = `\\u${value.charCodeAt(at).toString(16).padStart(4, '0')}`
      const half = /[\ud800-\udfff]/.test(value[at]!)
      return half
        ? JSON.stringify(value)
        : `${JSON.stringify(value.slice(0, at)).slice(0, -1)}${escaped}${JSON.stringify(value.slice(at + 1)).slice(1)}`
    })

const textValue = mostly(
  fc.oneof(
    { weight: 3, arbitrary: fc.stringMatching(/^[a-z0-9é]{1,9}$/).map((value) => `"${value}"`) },
    jsonString(anyText),
  ),
  fc.constantFrom('null', '""', '1', 'true', '{}', '"\\u0000"', '"\\ud800"', '"a\\u0000b"'),
)
/** For a user_id of USER_ID_TYPE=text. */
const userIdText = mostly(
  fc.stringMatching(/^"[a-z0-9]{1,9}"$/),
  jsonString(anyText),
  int8,
  fc.constantFrom('null', '1.5', '""', '[]'),
)

const TEXT_NAMES = ['anonymous_id', 'event_name', 'event_type', 'session_id', 'source']

const member = (name: string, value: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc.tuple(space, space, value, space).map(([a, b, text, c]) => `${a}"${name}"${b}:${text}${c}`)

const extra = fc.tuple(
  fc.constantFrom(
    'color',
    'a/b~',
    'received_at',
    'key_label',
    'ip_address',
    'user_agent',
    'user_id',
    'source',
    'metadata',
    '',
  ),
  jsonText,
)

/** Some of the optional texts. */
const texts = fc.oneof(
  fc.constant<string[]>([]),
  fc.subarray(TEXT_NAMES).chain((names) => fc.tuple(...names.map((name) => member(name, textValue)))),
)

/** Members in any order, sometimes with one missing or one extra; not always JSON. */
export const eventText: fc.Arbitrary<string> = eventWith(userId)
/** The same for USER_ID_TYPE=text. */
export const textEventText: fc.Arbitrary<string> = eventWith(userIdText)

function eventWith(user: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc
    .tuple(
      member('user_id', user),
      member('timestamp', timestamp),
      member('metadata', metadata),
      fc.option(member('event_id', eventId), { nil: undefined }),
      fc.oneof({ weight: 9, arbitrary: fc.constant(undefined) }, extra),
      fc.oneof({ weight: 12, arbitrary: fc.constant(-1) }, fc.nat({ max: 3 })),
      texts,
    )
    .chain(([who, time, data, id, more, missing, optional]) => {
      const members = [who, time, data, id, more && `"${more[0]}":${more[1]}`, ...optional]
      const present = members.filter((text, i) => text !== undefined && i !== missing)
      return fc.shuffledSubarray(present, { minLength: present.length })
    })
    .map((members) => `{${members.join(',')}}`)
}

const plainTexts = fc.tuple(
  ...TEXT_NAMES.map((name) =>
    fc.option(
      fc.stringMatching(/^[ -~é☕]{1,9}$/).map((value) => `"${name}":"${value.replaceAll(/["\\\\]/g, 'x')}"`),
      { nil: undefined },
    ),
  ),
)

/** Events in the form that the fast path takes, with any subset of the optional fields, in any order. */
export function plainEventText(userIdType: 'bigint' | 'text'): fc.Arbitrary<string> {
  return fc
    .tuple(fc.uuid(), fc.integer(), instant, smallObject, plainTexts)
    .chain(([id, user, time, data, optional]) => {
      const members = [
        `"event_id":"${id}"`,
        `"user_id":${userIdType === 'text' ? `"u${user}"` : user}`,
        `"timestamp":"${time}"`,
        `"metadata":${data}`,
        ...optional,
      ].filter((text) => text !== undefined)
      // An event with anonymous_id needs no user_id.
      const least =
        optional[0] === undefined ? members : members.filter((text) => !text.startsWith('"user_id"'))
      return fc
        .constantFrom(members, least)
        .chain((own) => fc.shuffledSubarray(own, { minLength: own.length }))
    })
    .map((members) => `{${members.join(',')}}`)
}

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

const member = (name: string, value: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc.tuple(space, space, value, space).map(([a, b, text, c]) => `${a}"${name}"${b}:${text}${c}`)

const extra = fc.tuple(fc.constantFrom('color', 'a/b~', 'received_at', 'user_id', 'metadata', ''), jsonText)

/** Members in any order, sometimes with one missing or one extra; not always JSON. */
export const eventText: fc.Arbitrary<string> = fc
  .tuple(
    member('user_id', userId),
    member('timestamp', timestamp),
    member('metadata', metadata),
    fc.option(member('event_id', eventId), { nil: undefined }),
    fc.oneof({ weight: 9, arbitrary: fc.constant(undefined) }, extra),
    fc.oneof({ weight: 12, arbitrary: fc.constant(-1) }, fc.nat({ max: 3 })),
  )
  .chain(([user, time, data, id, more, missing]) => {
    const members = [user, time, data, id, more && `"${more[0]}":${more[1]}`]
    const present = members.filter((text, i) => text !== undefined && i !== missing)
    return fc.shuffledSubarray(present, { minLength: present.length })
  })
  .map((members) => `{${members.join(',')}}`)

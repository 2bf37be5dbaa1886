/**
 * Generators for JSON texts: common, unusual and nearly valid ones. Faults are rare enough
 * that about half of the texts are valid.
 */
import * as fc from 'fast-check'

const weighted = <T>(...choices: [number, fc.Arbitrary<T>][]): fc.Arbitrary<T> =>
  fc.oneof(...choices.map(([weight, arbitrary]) => ({ weight, arbitrary })))

const join = (...parts: fc.Arbitrary<string>[]): fc.Arbitrary<string> =>
  fc.tuple(...parts).map((texts) => texts.join(''))

export const space = weighted(
  [1000, fc.constant('')],
  [200, fc.constantFrom(' ', '\n', '\r\n', '\t', ' \r\n\t')],
  [1, fc.constantFrom('\f', '\u00a0', '\ufeff', '\v')],
)

const digits = weighted(
  [20, fc.stringMatching(/^[0-9]{1,4}$/)],
  [2, fc.constantFrom('0', '00', '0000000')],
  [1, fc.nat({ max: 40 }).map((n) => '9'.repeat(n + 1))],
)
const exponentDigits = weighted(
  [6, fc.stringMatching(/^[0-9]{1,3}$/)],
  [6, fc.constantFrom('131067', '131068', '131069', '131070', '131071', '131072', '131073')],
  [6, fc.constantFrom('16379', '16380', '16381', '16382', '16383', '16384', '16385', '016383')],
  [
    3,
    fc.constantFrom(
      '1073741822',
      '1073741823',
      '1073741824',
      '2147483647',
      '2147483648',
      '9223372036854775808',
    ),
  ],
  [1, fc.constantFrom('99999999999999999999999999', '000000000000000000000000000001')],
)
const none = fc.constant('')
const integerPart = weighted([5, fc.nat().map(String)], [3, fc.constantFrom('0', '10', '9007199254740993')])
const fraction = weighted([2, none], [1, join(fc.constant('.'), digits)])
const exponent = weighted([2, none], [1, join(fc.constantFrom('e', 'E', 'e+', 'E-', 'e-'), exponentDigits)])

/** Number tokens, often at the limits of PostgreSQL's numeric. */
export const numberText = join(fc.constantFrom('', '', '-'), integerPart, fraction, exponent)

/** The same with thousands of digits: slow, so used only for a few cases. */
export const longNumberText = fc
  .tuple(
    fc.constantFrom('', '-'),
    fc.constantFrom(0, 16_382, 16_383, 16_384, 131_071, 131_072),
    fc.constantFrom(-1, 0, 1),
    fc.constantFrom('integer', 'fraction', 'leading zeros'),
    exponent,
  )
  .map(([sign, length, more, part, exp]) => {
    const long = '7'.repeat(Math.max(1, length + more))
    if (part === 'integer') return `${sign}${long}${exp}`
    return `${sign}0.${part === 'fraction' ? long : `${long.slice(1).replaceAll('7', '0')}7`}${exp}`
  })

/** Parts of strings without quotes: all escapes, paired and lone surrogates, all kinds of characters. */
const stringPiece = weighted(
  [20, fc.string({ maxLength: 5 }).map((text) => JSON.stringify(text).slice(1, -1))],
  [5, fc.string({ unit: 'binary', maxLength: 3 }).map((text) => JSON.stringify(text).slice(1, -1))],
  [
    3,
    fc.constantFrom('\\"', '\\\\', '\\/', '\\b', '\\f', '\\n', '\\r', '\\t', '\\u0041', '\\u00e9', '\\uFFFF'),
  ],
  [
    3,
    fc.constantFrom(
      '\\ud83d\\ude00',
      '\\uD83D\\uDE00',
      '\u007f',
      '\u2028',
      '😀',
      '\\u0001',
      '\\udbff\\udfff',
    ),
  ],
)
const wrongPiece = weighted<string>(
  [
    2,
    fc.constantFrom(
      '\\u0000',
      '\\ud800',
      '\\udc00',
      '\\udfff\\udbff',
      '\\ud83d\\u0041',
      '\\ud83d\\ud83d\\ude00',
    ),
  ],
  [
    1,
    fc.constantFrom(
      '\\ud83d\\ud83d',
      '\\ud83d\\n',
      '\\ud83d😀',
      '\\u0000\\u0000',
      '\\ud83dx\\ude00',
      '\\u00000',
    ),
  ],
  [
    1,
    fc.constantFrom(
      '\\x',
      '\\v',
      '\\a',
      '\\0',
      '\\u12',
      '\\u12g4',
      '\\U0041',
      '\u0001',
      '\n',
      '\t',
      '\u001f',
      "\\'",
      '\\',
    ),
  ],
)
const stringBody = (wrong: number): fc.Arbitrary<string> =>
  fc
    .array(weighted([40, stringPiece], [wrong, wrongPiece]), { maxLength: 3 })
    .map((pieces) => pieces.join(''))

/** String tokens with quotes; a few are not JSON, or are refused by jsonb. */
export const stringText = stringBody(1).map((body) => `"${body}"`)

const scalar = weighted(
  [80, stringText],
  [100, numberText],
  [40, fc.constantFrom('true', 'false', 'null')],
  [1, fc.constantFrom('True', 'nul', 'NaN', 'undefined', '+1', '01', '.5', '1.', '-', '1e', '0x1', "'a'")],
)
const key = weighted([3, fc.constantFrom('"a"', '"b"', '""', '"a\\u0062"', '"a/~"')], [1, stringText])
const list = (open: string, item: fc.Arbitrary<string>, close: string): fc.Arbitrary<string> =>
  join(
    fc.constant(open),
    space,
    fc.array(join(space, item, space), { maxLength: 4 }).map((items) => items.join(',')),
    fc.constant(close),
  )

/** JSON texts, sometimes with repeated names. */
export const jsonText: fc.Arbitrary<string> = fc.letrec<{ value: string; array: string; object: string }>(
  (tie) => ({
    value: fc.oneof({ depthSize: 'small', withCrossShrink: true }, scalar, tie('array'), tie('object')),
    array: list('[', tie('value'), ']'),
    object: list('{', join(key, space, fc.constant(':'), space, tie('value')), '}'),
  }),
).value

/** A top-level JSON object. */
export const objectText: fc.Arbitrary<string> = list(
  '{',
  join(key, space, fc.constant(':'), space, jsonText),
  '}',
)

/** A text with one or two small mistakes: a byte removed, doubled, inserted, or swapped with the next. */
export const nearly = (text: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc
    .tuple(
      text,
      fc.array(fc.tuple(fc.nat(), fc.nat({ max: 3 }), fc.constantFrom(...MISTAKES)), { maxLength: 2 }),
    )
    .map(([valid, mistakes]) => mistakes.reduce(spoil, valid))

const MISTAKES = [
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  '"',
  '\\',
  '0',
  '1',
  '-',
  '+',
  '.',
  'e',
  'E',
  'u',
  'n',
  't',
  ' ',
].concat([
  '\n',
  '\u0000',
  '\u001f',
  '\u00a0',
  '\ufeff',
  '\ud800',
  '/',
  'a',
  '\\u0000',
  '\\ud800',
  '1e99999',
  '[]',
])

function spoil(text: string, [where, how, what]: [number, number, string]): string {
  const at = where % (text.length + 1)
  const before = text.slice(0, at)
  if (how === 0) return before + text.slice(at + 1)
  if (how === 1) return before + what + text.slice(at)
  if (how === 2) return before + what + text.slice(at + 1)
  return before + text.charAt(at + 1) + text.charAt(at) + text.slice(at + 2)
}

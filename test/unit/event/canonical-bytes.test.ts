import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { isSafeInteger, isUuid } from '../../../event/canonical-bytes.ts'
import { canonicalUserId, canonicalUuid } from '../../../event/read-value.ts'
import { canonicalTimestamp, isUtcTimestamp } from '../../../event/timestamp.ts'
import { dateTimeText } from '../../arbitrary/timestamp-text.ts'

type Look = (buf: Buffer, start: number, end: number) => boolean

/** The result of the check for a text surrounded by other bytes of its kind. */
function told(look: Look, text: string): boolean {
  const around = text.slice(-3)
  const buf = Buffer.from(around + text + around, 'latin1')
  return look(buf, around.length, buf.length - around.length)
}

/** Bytes at the limits of all ranges that are checked, and just outside. */
const EDGES = '/09:`afg@AFGTtZz-+.\u0000\u00ff\u00b0'.split('')
/** The text, unchanged or with one byte inserted, replaced or removed. */
const nearly = (text: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc
    .tuple(text, fc.nat(), fc.constantFrom('', ...EDGES), fc.constantFrom(0, 0, 1, 1, 1, 2))
    .map(([valid, where, edge, left]) => {
      const at = where % (valid.length + 1)
      return left === 2 ? valid : valid.slice(0, at) + edge + valid.slice(at + left)
    })

/** Asserts that the check agrees with `expected`, and that both results are frequent. */
function agree(look: Look, texts: fc.Arbitrary<string>, expected: (text: string) => boolean): void {
  const seen = [0, 0]
  const property = fc.property(texts, (text) => {
    const isUsual = expected(text)
    seen[Number(isUsual)]! += 1
    assert.equal(told(look, text), isUsual, JSON.stringify(text))
  })
  fc.assert(property, { numRuns: 5_000 })
  assert.ok(Math.min(...seen) > 500, `${seen[1]} usual, ${seen[0]} others`)
}

test('a lowercase UUID, and nothing else', () => {
  agree(isUuid, nearly(fc.uuid()), (text) => canonicalUuid(text) === text)
  const id = '0198c0de-7a5b-7000-8000-0123456789ab'
  assert.ok(told(isUuid, id))
  for (const text of ['', id.toUpperCase(), id.slice(1), `${id}0`, id.replaceAll('-', '0'), `{${id}}`]) {
    assert.ok(!told(isUuid, text), text)
  }
})

test('a canonical integer of up to 18 digits, and nothing else', () => {
  const digits = fc.stringMatching(/^-?[0-9]{0,20}$/)
  const usual = (text: string): boolean => canonicalUserId(text) === text && /^-?\d{1,18}$/.test(text)
  agree(isSafeInteger, nearly(digits), usual)
  for (const text of ['0', '-1', '999999999999999999', '-999999999999999999']) {
    assert.ok(told(isSafeInteger, text), text)
  }
  for (const text of ['', '-', '-0', '00', '01', '-01', '1.0', '1e3', '+1', '1000000000000000000']) {
    assert.ok(!told(isSafeInteger, text), text)
  }
})

const FORM = /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z$/

test('a valid UTC timestamp with up to six fractional digits, and nothing else', () => {
  const usual = (text: string): boolean =>
    FORM.test(text) && canonicalTimestamp(text) !== undefined && !/:60[.Z]/.test(text)
  const inUtc = dateTimeText.map((text) => text.replace(/( ?(UTC|Z|z|[+-]\d\d(:?\d\d)?)(\[.*\])?)?$/, 'Z'))
  agree(isUtcTimestamp, fc.oneof(nearly(dateTimeText), nearly(inUtc), inUtc, inUtc), usual)
  const day = (date: string): string => `${date}T23:59:59.999Z`
  for (const date of [
    '2025-02-28',
    '2024-02-29',
    '2000-02-29',
    '2025-01-31',
    '2025-04-30',
    '2025-12-31',
    '0001-01-01',
    '9999-12-31',
  ]) {
    assert.ok(told(isUtcTimestamp, day(date)), date)
  }
  const wrong = [
    '2025-02-29',
    '1900-02-29',
    '2024-02-30',
    '2025-04-31',
    '2025-01-32',
    '2025-00-01',
    '2025-13-01',
    '2025-01-00',
  ]
  for (const date of [...wrong, '0000-01-01']) assert.ok(!told(isUtcTimestamp, day(date)), date)
  const time = (text: string): string => `2025-01-01T${text}`
  for (const text of ['00:00:00Z', '00:00:00.0Z', '23:59:59.999999Z'])
    assert.ok(told(isUtcTimestamp, time(text)), text)
  const others = [
    '24:00:00Z',
    '00:60:00Z',
    '00:00:60Z',
    '00:00:00',
    '00:00:00z',
    '00:00:00.Z',
    '00:00:00.0000000Z',
  ]
  for (const text of [...others, '00:00:00+00:00', '00:00:00.00000+00:00', '00:00:00,123Z']) {
    assert.ok(!told(isUtcTimestamp, time(text)), text)
  }
})

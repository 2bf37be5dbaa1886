import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { canonicalTimestamp, TimestampReader, toPostgresMicros } from '../../../event/timestamp.ts'
import { nearly } from '../../arbitrary/json-text.ts'
import { dateTimeText } from '../../arbitrary/timestamp-text.ts'

const FIRST = Date.parse('0001-01-01T00:00:00Z')
const LAST = Date.parse('9999-12-31T23:59:59.999Z')
const MILLENNIUM = BigInt(Date.parse('2000-01-01T00:00:00Z'))
const instants = fc.integer({ min: FIRST, max: LAST })

test('RFC 3339 timestamps are accepted, with or without an offset', () => {
  const cases: [text: string, canonical: string][] = [
    ['2025-01-31T12:00:00Z', '2025-01-31T12:00:00.000000Z'],
    ['2025-01-31t12:00:00z', '2025-01-31T12:00:00.000000Z'],
    ['2025-01-31T12:00:00', '2025-01-31T12:00:00.000000Z'],
    ['2025-01-31T12:00:00.5', '2025-01-31T12:00:00.500000Z'],
    ['2025-01-31T12:00:00-00:00', '2025-01-31T12:00:00.000000Z'],
    ['2025-01-31T12:00:00.123+01:30', '2025-01-31T10:30:00.123000Z'],
    ['2024-12-31T23:59:59.999999999-00:01', '2025-01-01T00:00:59.999999Z'],
    ['9999-12-31T23:59:59.9999999Z', '9999-12-31T23:59:59.999999Z'],
    ['2000-02-29T00:00:00Z', '2000-02-29T00:00:00.000000Z'],
  ]
  for (const [text, canonical] of cases) assert.equal(canonicalTimestamp(text), canonical, text)
})

test('timestamps are read in every form that common libraries print', () => {
  const cases: [text: string, canonical: string][] = [
    // Java's Instant, OffsetDateTime and ZonedDateTime, the second with seconds of zero
    ['2026-01-02T03:04:05.123456789Z', '2026-01-02T03:04:05.123456Z'],
    ['2026-01-02T03:04Z', '2026-01-02T03:04:00.000000Z'],
    ['2026-01-02T03:04+01:00', '2026-01-02T02:04:00.000000Z'],
    ['2026-01-02T03:04:05+01:00[Europe/Paris]', '2026-01-02T02:04:05.000000Z'],
    ['2026-01-02T03:04:05Z[UTC][u-ca=iso8601][!x=y]', '2026-01-02T03:04:05.000000Z'],
    // Python's str() and isoformat(), Ruby's to_s
    ['2026-01-02 03:04:05+00:00', '2026-01-02T03:04:05.000000Z'],
    ['2026-01-02 03:04:05.123456', '2026-01-02T03:04:05.123456Z'],
    ['2026-01-02 03:04:05 +0100', '2026-01-02T02:04:05.000000Z'],
    ['2026-01-02 03:04:05 UTC', '2026-01-02T03:04:05.000000Z'],
    // strftime's %z, PostgreSQL, ISO 8601
    ['2026-01-02T03:04:05+0000', '2026-01-02T03:04:05.000000Z'],
    ['2026-01-02 03:04:05-08', '2026-01-02T11:04:05.000000Z'],
    ['2026-01-02 03:04', '2026-01-02T03:04:00.000000Z'],
    ['2026-01-02T03:04:05,123Z', '2026-01-02T03:04:05.123000Z'],
    ['2026-01-02', '2026-01-02T00:00:00.000000Z'],
    // leap seconds
    ['2016-12-31T23:59:60Z', '2017-01-01T00:00:00.000000Z'],
    ['2017-01-01T00:59:60.5+01:00', '2017-01-01T00:00:00.500000Z'],
  ]
  for (const [text, canonical] of cases) assert.equal(canonicalTimestamp(text), canonical, text)
})

test('everything that is not such a date and time is refused', () => {
  const cases = [
    '',
    'now',
    '2025-01',
    '2025-02-29',
    '0000-01-01',
    '2025-01-31T',
    '2025-01-31Z',
    '2025-01-31T12',
    '2025-01-31T12Z',
    '2025-01-31  12:00:00Z',
    '2025-01-31_12:00:00Z',
    '2025-01-31T12:00:',
    '2025-01-31T12:00:0',
    '2025-01-31T12:00.5Z',
    '20250131T120000Z',
    ' 2025-01-31T12:00:00Z',
  ]
    .concat([
      '2025-01-31T12:00:00Z ',
      '2025-01-31T12:00:00Zx',
      '2025-01-31T12:00:00.Z',
      '2025-01-31T12:00:00,Z',
      '2025-01-31T12:00:00 ',
      '2025-01-31T12:00:00  Z',
      '2025-01-31T12:00:00 U',
      '2025-01-31T12:00:00 UT',
      '2025-01-31T12:00:00 utc',
      '2025-01-31T12:00:00 CET',
    ])
    .concat([
      '2025-01-31T12:00:61Z',
      '9999-12-31T23:59:60Z',
      '2025-01-31T24:00:00Z',
      '2025-01-31T12:60:00Z',
      '2025-13-01T00:00:00Z',
    ])
    .concat(['2025-00-01T00:00:00Z', '2025-01-00T00:00:00Z', '2025-04-31T00:00:00Z', '2023-02-29T00:00:00Z'])
    .concat([
      '1900-02-29T00:00:00Z',
      '0000-01-01T00:00:00Z',
      '0000-12-31T23:00:00-01:00',
      '0001-01-01T00:00:00+00:01',
      '9999-12-31T23:59:59-00:01',
      '9999-12-31T23:00:00-01:00',
    ])
    .concat([
      '2025-01-31T12:00:00+16:00',
      '2025-01-31T12:00:00-16',
      '2025-01-31T12:00:00+01:60',
      '2025-01-31T12:00:00+1',
      '2025-01-31T12:00:00+',
      '2025-01-31T12:00:00+010',
      '2025-01-31T12:00:00+01:',
      '2025-01-31T12:00:00+01000',
    ])
    // Without an offset, the zone would decide which time it is.
    .concat([
      '2025-01-31T12:00:00[Europe/Paris]',
      '2025-01-31T12:00:00 [UTC]',
      '2025-01-31T12:00:00Z[',
      '2025-01-31T12:00:00Z[]',
      '2025-01-31T12:00:00Z[a b]',
      '2025-01-31T12:00:00Z[a]b',
      '2025-01-31[UTC]',
    ])
    .concat([
      '2025-01-31T12:00:00.5.5Z',
      '+2025-01-31T12:00:00Z',
      '12025-01-31T12:00:00Z',
      '２025-01-31T12:00:00Z',
      '2025-1-31T12:00:00Z',
    ])
    .concat([
      '2025-01-31T12:00:00Z+01:00',
      '2025-01-31T-1:00:00Z',
      '2025-01-31T12:00:00+01:0',
      '2025-01-31T12:00:00.000000'.concat('ZZ'),
    ])
  for (const text of cases) assert.equal(canonicalTimestamp(text), undefined, text)
})

test('timestamps agree with Date at every instant and offset', () => {
  fc.assert(
    fc.property(instants, fc.integer({ min: -959, max: 959 }), (ms, minutes) => {
      const sign = minutes < 0 ? '-' : '+'
      const [h, m] = [Math.trunc(Math.abs(minutes) / 60), Math.abs(minutes) % 60]
      const offset = `${sign}${String(h).padStart(2, '0')}:${String(m).padStart(2, '0')}`
      const local = new Date(ms).toISOString().replace('Z', offset)
      const utc = ms - minutes * 60_000
      const expected =
        utc < FIRST || utc > LAST ? undefined : new Date(utc).toISOString().replace('Z', '000Z')
      assert.equal(canonicalTimestamp(local), expected, local)
    }),
    { numRuns: 2_000 },
  )
})

test('a canonical timestamp stays unchanged, and every accepted one becomes canonical', () => {
  fc.assert(
    fc.property(dateTimeText, (text) => {
      const canonical = canonicalTimestamp(text)
      if (canonical === undefined) return
      assert.match(canonical, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/)
      assert.equal(canonicalTimestamp(canonical), canonical)
      const fraction = /[.,](\d+)/.exec(text)?.[1] ?? ''
      assert.equal(canonical.slice(20, 26), fraction.slice(0, 6).padEnd(6, '0'), 'truncated, not rounded')
    }),
    { numRuns: 3_000 },
  )
})

test('toPostgresMicros() counts microseconds since 2000', () => {
  assert.equal(toPostgresMicros('2000-01-01T00:00:00.000000Z'), 0n)
  assert.equal(toPostgresMicros('1999-12-31T23:59:59.999999Z'), -1n)
  fc.assert(
    fc.property(instants, fc.integer({ min: 0, max: 999 }), (ms, micros) => {
      const canonical = new Date(ms).toISOString().replace('Z', `${String(micros).padStart(3, '0')}Z`)
      assert.equal(toPostgresMicros(canonical), (BigInt(ms) - MILLENNIUM) * 1_000n + BigInt(micros))
    }),
    { numRuns: 2_000 },
  )
})

test('TimestampReader reads canonical timestamps as toPostgresMicros() does, and nothing else', () => {
  const reader = new TimestampReader()
  fc.assert(
    fc.property(nearly(dateTimeText), (text) => {
      const bytes = Buffer.from(`"${text}"`)
      const micros = reader.micros(bytes, 1)
      const canonical = canonicalTimestamp(text.slice(0, 27))
      if (canonical !== text.slice(0, 27)) assert.ok(Number.isNaN(micros), text)
      else if (Number.isSafeInteger(micros)) assert.equal(BigInt(micros), toPostgresMicros(canonical))
      else assert.ok(!Number.isSafeInteger(Number(toPostgresMicros(canonical))), text)
    }),
    { numRuns: 5_000 },
  )
})

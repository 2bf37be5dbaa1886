/** Generators for timestamps in the forms that are read, including values out of range. */
import * as fc from 'fast-check'

const two = (n: number): string => String(n).padStart(2, '0')

const year = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 1970, max: 2100 }) },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 9999 }) },
  { weight: 3, arbitrary: fc.constantFrom(0, 1, 4, 100, 400, 1582, 1900, 1999, 2000, 2001, 2285, 9999) },
)
const month = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 1, max: 12 }) },
  fc.constantFrom(0, 2, 12, 13),
)
const day = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 1, max: 28 }) },
  { weight: 4, arbitrary: fc.integer({ min: 29, max: 31 }) },
  fc.constantFrom(0, 1, 32),
)
const hour = fc.oneof(
  { weight: 12, arbitrary: fc.integer({ min: 0, max: 23 }) },
  fc.constantFrom(0, 23, 24, 25),
)
const sixty = fc.oneof(
  { weight: 20, arbitrary: fc.integer({ min: 0, max: 59 }) },
  fc.constantFrom(0, 59, 60, 61),
)
const fraction = fc.oneof(
  fc.constant(''),
  fc.stringMatching(/^\.[0-9]{1,6}$/),
  fc.stringMatching(/^\.[0-9]{7,12}$/),
  fc.constantFrom('.999999', '.9999999', '.9999995', '.000000', '.0000009', ',5', ',1234567'),
)
const annotation = fc.constantFrom('', '', '', '', '[Europe/Paris]', '[UTC][u-ca=iso8601]')
const zone = fc.oneof(
  fc.constantFrom('Z', 'z', 'UTC', '+00:00', '-00:00', '+00', '-0000'),
  fc
    .tuple(fc.constantFrom('+', '-'), hour, fc.constantFrom(':', ''), fc.option(sixty))
    .map(
      ([sign, hours, colon, minutes]) => sign + two(hours) + (minutes === null ? '' : colon + two(minutes)),
    ),
)
const offset = fc.oneof(
  { weight: 1, arbitrary: fc.constant('') },
  {
    weight: 4,
    arbitrary: fc
      .tuple(fc.constantFrom('', '', '', ' '), zone, annotation)
      .map(([space, text, notes]) => space + text + notes),
  },
)
const seconds = fc.oneof(
  { weight: 1, arbitrary: fc.constant('') },
  { weight: 9, arbitrary: fc.tuple(sixty, fraction).map(([s, f]) => `:${two(s)}${f}`) },
)
const time = fc
  .tuple(fc.constantFrom('T', 'T', 'T', 't', ' '), hour, sixty, seconds, offset)
  .map(([t, h, mi, s, o]) => `${t}${two(h)}:${two(mi)}${s}${o}`)

/** A date alone, or with a time and an offset: valid form, often with invalid values. */
export const dateTimeText: fc.Arbitrary<string> = fc
  .tuple(year, month, day, fc.option(time, { freq: 20, nil: '' }))
  .map(([y, mo, d, t]) => `${String(y).padStart(4, '0')}-${two(mo)}-${two(d)}${t}`)

/** Generators for timestamps in the form of RFC 3339, including values out of range. */
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
  fc.constantFrom('.999999', '.9999999', '.9999995', '.000000', '.0000009'),
)
const offset = fc.oneof(
  fc.constantFrom('', 'Z', 'z', '+00:00', '-00:00'),
  fc
    .tuple(fc.constantFrom('+', '-'), hour, sixty)
    .map(([sign, hours, minutes]) => `${sign}${two(hours)}:${two(minutes)}`),
)

/** `YYYY-MM-DDTHH:MM:SS[.f][offset]`: valid form, often with invalid values. */
export const dateTimeText: fc.Arbitrary<string> = fc
  .tuple(year, month, day, fc.constantFrom('T', 'T', 'T', 't'), hour, sixty, sixty, fraction, offset)
  .map(
    ([y, mo, d, t, h, mi, s, f, o]) =>
      `${String(y).padStart(4, '0')}-${two(mo)}-${two(d)}${t}${two(h)}:${two(mi)}:${two(s)}${f}${o}`,
  )

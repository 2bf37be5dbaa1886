/**
 * Timestamps: converts RFC 3339 (section 5.6) to one canonical text.
 *
 * Stricter than the RFC: seconds are 00-59 (timestamptz has no leap seconds), hours 00-23, and years 0001-9999 in UTC.
 * More lenient: the offset may be missing, which means UTC. Digits after the microseconds are truncated, not rounded as
 * by PostgreSQL's input, so that an event never moves into the next second, day or year.
 */

/** Days from 0000-03-01 to 1970-01-01, and from 1970-01-01 to 2000-01-01 (POSTGRES_EPOCH_JDATE). */
const DAYS_TO_1970 = 719_468
const DAYS_1970_TO_2000 = 10_957
const SECONDS_PER_DAY = 86_400
const MINUTES_PER_DAY = 1_440

const CANONICAL_LENGTH = 27
/** By month number, from 1; February has 28. */
export const DAYS_IN_MONTH = [0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
const ZEROS = '000000'

/**
 * The canonical form `YYYY-MM-DDTHH:MM:SS.ffffffZ` (UTC, always 27 characters) of an RFC 3339 date-time, or undefined if
 * the text is not a valid event timestamp. A canonical text is returned unchanged.
 */
export function canonicalTimestamp(text: string): string | undefined {
  if (!wellFormedSeconds(text)) return undefined
  let pos = 19
  let fraction = ''
  if (text.charCodeAt(pos) === 0x2e) {
    const first = ++pos
    while (isDigit(text.charCodeAt(pos))) pos++
    if (pos === first) return undefined
    fraction = text.slice(first, Math.min(pos, first + 6))
  }
  const offset = offsetMinutes(text, pos)
  if (offset === undefined) return undefined
  if (offset !== 0) return shifted(text, offset, fraction)
  if (text.startsWith('0000')) return undefined
  if (text.length === CANONICAL_LENGTH && pos === 26 && text.charCodeAt(26) === 0x5a && text[10] === 'T')
    return text
  return `${text.slice(0, 10)}T${text.slice(11, 19)}.${fraction}${ZEROS.slice(fraction.length)}Z`
}

/** Whether the text is a valid timestamp in canonical form. */
export function isCanonicalTimestamp(text: string): boolean {
  return text.length === CANONICAL_LENGTH && canonicalTimestamp(text) === text
}

/**
 * Microseconds since 2000-01-01T00:00:00Z, the binary format of PostgreSQL's timestamptz. The text must be canonical.
 */
export function toPostgresMicros(canonical: string): bigint {
  const seconds = secondsSince2000(canonical)
  const micros = number(canonical, 20, 26)
  const exact = seconds * 1_000_000 + micros
  // 2^53 microseconds are 285 years, so a number is nearly always exact.
  return Number.isSafeInteger(exact) ? BigInt(exact) : BigInt(seconds) * 1_000_000n + BigInt(micros)
}

/** Whether the first 19 characters are a valid `YYYY-MM-DDTHH:MM:SS`. */
function wellFormedSeconds(text: string): boolean {
  if (text.length < 19) return false
  const separator = text.charCodeAt(10) | 0x20
  if (text.charCodeAt(4) !== 0x2d || text.charCodeAt(7) !== 0x2d || separator !== 0x74) return false
  if (text.charCodeAt(13) !== 0x3a || text.charCodeAt(16) !== 0x3a) return false
  // number() is NaN if a character is not a digit, and every comparison with NaN is false.
  const year = number(text, 0, 4)
  const month = number(text, 5, 7)
  const day = number(text, 8, 10)
  if (!(year >= 0 && month >= 1 && month <= 12 && day >= 1)) return false
  if (day > DAYS_IN_MONTH[month]! && !(month === 2 && day === 29 && isLeapYear(year))) return false
  return number(text, 11, 13) <= 23 && number(text, 14, 16) <= 59 && number(text, 17, 19) <= 59
}

/** The offset from UTC, from `pos` to the end of the text, in minutes east; 0 if it is missing, undefined if invalid. */
function offsetMinutes(text: string, pos: number): number | undefined {
  if (pos === text.length) return 0
  const sign = text.charCodeAt(pos)
  if ((sign | 0x20) === 0x7a) return pos + 1 === text.length ? 0 : undefined
  if (sign !== 0x2b && sign !== 0x2d) return undefined
  if (text.length !== pos + 6 || text.charCodeAt(pos + 3) !== 0x3a) return undefined
  const hours = number(text, pos + 1, pos + 3)
  const minutes = number(text, pos + 4, pos + 6)
  if (!(hours <= 23 && minutes <= 59)) return undefined
  const east = hours * 60 + minutes
  return sign === 0x2d ? -east : east
}

/** Converts local time to UTC; undefined if the year is out of range. */
function shifted(text: string, offset: number, fraction: string): string | undefined {
  const sinceMidnight = number(text, 11, 13) * 60 + number(text, 14, 16) - offset
  const days = Math.floor(sinceMidnight / MINUTES_PER_DAY)
  const date = days === 0 ? text.slice(0, 10) : dateAfter(text, days)
  if (date === undefined || date.startsWith('0000')) return undefined
  const minutes = sinceMidnight - days * MINUTES_PER_DAY
  const hour = twoDigits(Math.floor(minutes / 60))
  return `${date}T${hour}:${twoDigits(minutes % 60)}${text.slice(16, 19)}.${fraction}${ZEROS.slice(fraction.length)}Z`
}

/** The date `days` after that of the text, or undefined if its year does not have four digits. */
function dateAfter(text: string, days: number): string | undefined {
  const date = new Date(Date.parse(text.slice(0, 10)) + days * SECONDS_PER_DAY * 1_000).toISOString()
  return date[4] === '-' ? date.slice(0, 10) : undefined
}

function twoDigits(value: number): string {
  return value < 10 ? `0${value}` : `${value}`
}

/** Seconds from 2000-01-01 to the first 19 characters of the text, read as UTC. */
function secondsSince2000(text: string): number {
  const days = daysSince2000(number(text, 0, 4), number(text, 5, 7), number(text, 8, 10))
  const hours = number(text, 11, 13)
  return days * SECONDS_PER_DAY + hours * 3_600 + number(text, 14, 16) * 60 + number(text, 17, 19)
}

/** Proleptic Gregorian calendar; years start in March, so that the leap day is the last day. */
function daysSince2000(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year
  const monthFromMarch = month <= 2 ? month + 9 : month - 3
  const dayOfYear = Math.floor((153 * monthFromMarch + 2) / 5) + day - 1
  const leapDays = Math.floor(y / 4) - Math.floor(y / 100) + Math.floor(y / 400)
  return y * 365 + leapDays + dayOfYear - DAYS_TO_1970 - DAYS_1970_TO_2000
}

function isLeapYear(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
}

/** The decimal digits `[start, end)` as a number; NaN if any character is not a digit. */
function number(text: string, start: number, end: number): number {
  let value = 0
  for (let i = start; i < end; i++) {
    const digit = text.charCodeAt(i) - 0x30
    if (!(digit >= 0 && digit <= 9)) return Number.NaN
    value = value * 10 + digit
  }
  return value
}

function isDigit(c: number): boolean {
  return c >= 0x30 && c <= 0x39
}

/**
 * Timestamps: the one place that judges dates and times and converts them to one canonical text,
 * `YYYY-MM-DDTHH:MM:SS.ffffffZ`. What is read:
 *
 * - a date that exists, in the years 0001-9999, also in UTC; alone, it is its midnight in UTC
 * - `T`, `t` or a space, and `HH:MM`, or `HH:MM:SS` with or without a fraction after a point or comma
 * - nothing (UTC), `Z`, `z`, `UTC`, or an offset `+HH`, `+HHMM` or `+HH:MM` of less than 16 hours; a space may precede it
 * - after one of these, annotations such as `[Europe/Paris]` (RFC 9557), which are ignored
 *
 * This is RFC 3339 (section 5.6) and what common libraries print (Java, Python, Ruby). Hours are 00-23. The second 60 is
 * the first second of the next minute, as in PostgreSQL. Digits after the microseconds are truncated, not rounded as by
 * PostgreSQL's input, so that an event never moves into the next second, day or year.
 */
import { DIGIT_VALUE, NO_DIGIT, skipDigits } from './json/tokens.ts'

/** Length of the canonical text, of its part up to the seconds, and of the date. */
export const TIMESTAMP_BYTES = 27
export const SECONDS_BYTES = 19
const DATE_BYTES = 10
const MINUTES_BYTES = 16
const MAX_FRACTION_DIGITS = 6
/** As in PostgreSQL; real offsets reach 14 hours. */
const MAX_OFFSET_HOURS = 15

/** 2000-01-01T00:00:00Z, the epoch of PostgreSQL's timestamptz, in milliseconds since 1970. */
export const POSTGRES_EPOCH_MS = 946_684_800_000

/** Days from 0000-03-01 to 1970-01-01, and from 1970-01-01 to 2000-01-01 (POSTGRES_EPOCH_JDATE). */
const DAYS_TO_1970 = 719_468
const DAYS_1970_TO_2000 = 10_957
const SECONDS_PER_DAY = 86_400
const MINUTES_PER_DAY = 1_440

/** By month number, from 1; February has 28. */
const DAYS_IN_MONTH = [0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
const ZEROS = '000000'

const ANNOTATIONS = /^(\[[!-Z^-~]+\])+$/

/** The canonical text of a date and time, or undefined if it is not a valid event timestamp. */
export function canonicalTimestamp(text: string): string | undefined {
  const bytes = Buffer.from(text)
  return readTimestamp(bytes, 0, bytes.length)
}

/** As canonicalTimestamp(), for the bytes `[start, end)`. */
export function readTimestamp(buf: Buffer, start: number, end: number): string | undefined {
  if (end - start < DATE_BYTES || !isDate(buf, start) || isYearZero(buf, start)) return undefined
  let minutes = 0
  let seconds = 0
  let fraction = ''
  let offset: number | undefined = 0
  if (end - start > DATE_BYTES) {
    if (end - start < MINUTES_BYTES || !isSeparator(buf[start + DATE_BYTES]!)) return undefined
    minutes = minutesOfDay(buf, start + 11)
    if (minutes < 0) return undefined
    let pos = start + MINUTES_BYTES
    if (buf[pos] === 0x3a && pos < end) {
      pos += 3
      seconds = pos <= end ? twoDigits(buf, pos - 2) : NO_DIGIT
      if (seconds > 60) return undefined
      if (pos < end && (buf[pos] === 0x2e || buf[pos] === 0x2c)) {
        const first = ++pos
        pos = skipDigits(buf, pos, end)
        if (pos === first) return undefined
        fraction = buf.toString('latin1', first, Math.min(pos, first + MAX_FRACTION_DIGITS))
      }
    }
    offset = offsetMinutes(buf, pos, end)
    if (offset === undefined) return undefined
  }
  if (seconds === 60) offset--
  const minute = minuteInUtc(buf.toString('latin1', start, start + DATE_BYTES), minutes - offset)
  if (minute === undefined || minute.startsWith('0000')) return undefined
  return `${minute}:${padded(seconds % 60)}.${fraction}${ZEROS.slice(fraction.length)}Z`
}

/**
 * Whether `[start, end)` is canonical up to the seconds, followed by `Z` or by a fraction of one to six digits and `Z`.
 * Other forms may be valid, too.
 */
export function isUtcTimestamp(buf: Buffer, start: number, end: number): boolean {
  const fraction = end - start - SECONDS_BYTES - 2
  if (fraction < -1 || fraction === 0 || fraction > MAX_FRACTION_DIGITS || buf[end - 1] !== 0x5a) return false
  if (fraction > 0 && buf[start + SECONDS_BYTES] !== 0x2e) return false
  if (fraction > 0 && skipDigits(buf, end - 1 - fraction, end) < end - 1) return false
  if (buf[start + DATE_BYTES] !== 0x54 || !isDate(buf, start) || isYearZero(buf, start)) return false
  return secondsOfDay(buf, start + 11) >= 0
}

/**
 * Microseconds since 2000-01-01T00:00:00Z, the binary format of PostgreSQL's timestamptz. The text must be canonical.
 */
export function toPostgresMicros(canonical: string): bigint {
  const bytes = Buffer.from(canonical, 'latin1')
  const seconds = daysSince2000(bytes, 0) * SECONDS_PER_DAY + secondsOfDay(bytes, 11)
  return BigInt(seconds) * 1_000_000n + BigInt(digits(bytes, SECONDS_BYTES + 1, MAX_FRACTION_DIGITS))
}

/** Reads canonical timestamps from records. It keeps the last date, because consecutive records usually have the same one. */
export class TimestampReader {
  readonly #date = Buffer.alloc(DATE_BYTES)
  #dateMicros = Number.NaN

  /**
   * The canonical timestamp at `start` in microseconds since 2000.
   *
   * @returns NaN if there is none; a number that is not a safe integer if it is more than 285 years away
   */
  micros(buf: Buffer, start: number): number {
    if (buf[start + DATE_BYTES] !== 0x54 || buf[start + SECONDS_BYTES] !== 0x2e || buf[start + 26] !== 0x5a)
      return Number.NaN
    const seconds = secondsOfDay(buf, start + 11)
    if (seconds < 0) return Number.NaN
    const micros = digits(buf, start + SECONDS_BYTES + 1, MAX_FRACTION_DIGITS)
    return this.#microsOfDate(buf, start) + seconds * 1_000_000 + micros
  }

  #microsOfDate(buf: Buffer, start: number): number {
    for (let i = 0; i < DATE_BYTES; i++)
      if (buf[start + i] !== this.#date[i]) return this.#readDate(buf, start)
    return this.#dateMicros
  }

  #readDate(buf: Buffer, start: number): number {
    const isValid = isDate(buf, start) && !isYearZero(buf, start)
    this.#dateMicros = isValid ? daysSince2000(buf, start) * SECONDS_PER_DAY * 1_000_000 : Number.NaN
    buf.copy(this.#date, 0, start, start + DATE_BYTES)
    return this.#dateMicros
  }
}

/** Whether a `YYYY-MM-DD` that exists in the proleptic Gregorian calendar is at `at`. The year may be 0000. */
function isDate(buf: Buffer, at: number): boolean {
  if (buf[at + 4] !== 0x2d || buf[at + 7] !== 0x2d) return false
  const century = twoDigits(buf, at)
  const year = twoDigits(buf, at + 2)
  const month = twoDigits(buf, at + 5)
  const day = twoDigits(buf, at + 8)
  if (century >= NO_DIGIT || year >= NO_DIGIT || month > 12 || day < 1) return false
  return day <= DAYS_IN_MONTH[month]! || (month === 2 && day === 29 && isLeapYear(century * 100 + year))
}

/** The `HH:MM:SS` at `at` in seconds since midnight, or -1 if it is not valid. */
function secondsOfDay(buf: Buffer, at: number): number {
  const minutes = minutesOfDay(buf, at)
  const seconds = twoDigits(buf, at + 6)
  return minutes >= 0 && buf[at + 5] === 0x3a && seconds <= 59 ? minutes * 60 + seconds : -1
}

/** The `HH:MM` at `at` in minutes since midnight, or -1 if it is not valid. */
function minutesOfDay(buf: Buffer, at: number): number {
  const hours = twoDigits(buf, at)
  const minutes = twoDigits(buf, at + 3)
  return buf[at + 2] === 0x3a && hours <= 23 && minutes <= 59 ? hours * 60 + minutes : -1
}

/** Between date and time: T, t or a space. */
function isSeparator(byte: number): boolean {
  return (byte | 0x20) === 0x74 || byte === 0x20
}

function isYearZero(buf: Buffer, at: number): boolean {
  return twoDigits(buf, at) + twoDigits(buf, at + 2) === 0
}

/** The offset from UTC, from `pos` to `end`, in minutes east; 0 if there is none, undefined if it is invalid. */
function offsetMinutes(buf: Buffer, pos: number, end: number): number | undefined {
  if (pos === end) return 0
  if (buf[pos] === 0x20) pos++
  if (pos < end && (buf[pos]! | 0x20) === 0x7a) return isAnnotated(buf, pos + 1, end) ? 0 : undefined
  if (buf.toString('latin1', pos, pos + 3) === 'UTC') return isAnnotated(buf, pos + 3, end) ? 0 : undefined
  const sign = buf[pos]!
  if (pos + 3 > end || (sign !== 0x2b && sign !== 0x2d)) return undefined
  const hours = twoDigits(buf, pos + 1)
  let minutes = 0
  pos += 3
  if (pos < end && buf[pos] !== 0x5b) {
    if (buf[pos] === 0x3a) pos++
    minutes = twoDigits(buf, pos)
    pos += 2
  }
  if (hours > MAX_OFFSET_HOURS || minutes > 59 || !isAnnotated(buf, pos, end)) return undefined
  const east = hours * 60 + minutes
  return sign === 0x2d ? -east : east
}

/** Whether from `pos` to `end` there is nothing, or only annotations. */
function isAnnotated(buf: Buffer, pos: number, end: number): boolean {
  return pos === end || (pos < end && ANNOTATIONS.test(buf.toString('latin1', pos, end)))
}

/** `YYYY-MM-DDTHH:MM` of a date and the minutes since its midnight; undefined if the year does not have four digits. */
function minuteInUtc(date: string, minutes: number): string | undefined {
  const days = Math.floor(minutes / MINUTES_PER_DAY)
  const day = days === 0 ? date : dateAfter(date, days)
  if (day === undefined) return undefined
  const rest = minutes - days * MINUTES_PER_DAY
  return `${day}T${padded(Math.floor(rest / 60))}:${padded(rest % 60)}`
}

/** The date `days` after another, or undefined if its year does not have four digits. */
function dateAfter(date: string, days: number): string | undefined {
  const after = new Date(Date.parse(date) + days * SECONDS_PER_DAY * 1_000).toISOString()
  return after[4] === '-' ? after.slice(0, DATE_BYTES) : undefined
}

function padded(value: number): string {
  return value < 10 ? `0${value}` : `${value}`
}

/** Proleptic Gregorian calendar; years start in March, so that the leap day is the last day. */
function daysSince2000(buf: Buffer, at: number): number {
  const month = twoDigits(buf, at + 5)
  const y = digits(buf, at, 4) - (month <= 2 ? 1 : 0)
  const monthFromMarch = month <= 2 ? month + 9 : month - 3
  const dayOfYear = Math.floor((153 * monthFromMarch + 2) / 5) + twoDigits(buf, at + 8) - 1
  const leapDays = Math.floor(y / 4) - Math.floor(y / 100) + Math.floor(y / 400)
  return y * 365 + leapDays + dayOfYear - DAYS_TO_1970 - DAYS_1970_TO_2000
}

function isLeapYear(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
}

/** Two decimal digits as a number; NO_DIGIT or more if either is not a digit. */
function twoDigits(buf: Buffer, at: number): number {
  return DIGIT_VALUE[buf[at]!]! * 10 + DIGIT_VALUE[buf[at + 1]!]!
}

/** Decimal digits as a number; NaN if any of them is not a digit. */
function digits(buf: Buffer, at: number, count: number): number {
  let number = 0
  for (let i = at; i < at + count; i++) {
    const digit = DIGIT_VALUE[buf[i]!]!
    if (digit === NO_DIGIT) return Number.NaN
    number = number * 10 + digit
  }
  return number
}

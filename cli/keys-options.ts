// The options of `firehose keys` as values. Pure; each function throws a UsageError.
import {
  isLabel,
  MAX_BURST,
  MAX_EVENTS_PER_SECOND,
  MAX_LABEL_LENGTH,
  MIN_BURST,
  type Key,
} from '../access/key-file.ts'
import { isOriginRule } from '../access/origins.ts'
import { KEY_KINDS, type KeyKind, readSecret } from '../access/secret.ts'
import { canonicalTimestamp } from '../event/timestamp.ts'
import { parseDuration } from '../platform/duration.ts'
import { UsageError } from '../platform/usage-error.ts'

/** What is given for a new key. */
export interface KeyOptions {
  kind: string
  origin: readonly string[]
  eventsPerSecond?: string
  burst?: string
}

/** Refuses a secret as the name of a key, or of a secret, without showing it again. */
export function checkName(given: string): void {
  const read = given.length > MAX_LABEL_LENGTH ? readSecret(given) : undefined
  if (read === undefined) return
  const id = read === 'mistyped' ? '' : `: ${read.id}`
  throw new UsageError(
    `A secret must not be on a command line, which others can read: its id is enough, the third part of it${id}.`,
  )
}

/** The key that the options describe, without its secret. */
export function keyOf(label: string, options: KeyOptions): Omit<Key, 'secrets'> {
  checkName(label)
  if (!isLabel(label))
    throw new UsageError(
      `A label has 1 to 63 letters (A to Z), digits, dots, underscores and hyphens, and begins with a letter or digit, unlike "${label}".`,
    )
  const kind = kindOf(options.kind)
  checkOrigins(kind, options.origin)
  return {
    label,
    kind,
    origins: options.origin,
    eventsPerSecond: wholeNumber('--events-per-second', options.eventsPerSecond, 1, MAX_EVENTS_PER_SECOND),
    burst: wholeNumber('--burst', options.burst, MIN_BURST, MAX_BURST),
  }
}

function kindOf(given: string): KeyKind {
  const kind = KEY_KINDS.find((each) => each === given)
  if (kind !== undefined) return kind
  throw new UsageError(`--kind must be one of ${KEY_KINDS.join(', ')}, not "${given}".`)
}

function checkOrigins(kind: KeyKind, origins: readonly string[]): void {
  if (kind !== 'browser' && origins.length > 0)
    throw new UsageError('--origin is only for --kind browser: pages cannot use other keys.')
  if (kind === 'browser' && origins.length === 0)
    throw new UsageError(
      '--kind browser needs --origin, from where pages are loaded, such as https://example.com.',
    )
  for (const origin of origins) {
    if (!isOriginRule(origin))
      throw new UsageError(
        `--origin must be an origin such as https://example.com or https://*.example.com, not "${origin}".`,
      )
  }
}

function wholeNumber(name: string, given: string | undefined, min: number, max: number): number | undefined {
  if (given === undefined) return undefined
  const value = /^\d+$/.test(given) ? Number(given) : Number.NaN
  if (value >= min && value <= max) return value
  throw new UsageError(`${name} must be a whole number from ${min} to ${max}, not "${given}".`)
}

/** The value of --expires, as milliseconds since 1970: some time from now on, or a date. */
export function expiryOf(given: string, nowMs: number): number {
  const canonical = canonicalTimestamp(given)
  const afterMs = parseDuration(given)
  const ms = canonical === undefined ? nowMs + (afterMs ?? Number.NaN) : Date.parse(canonical)
  if (ms > nowMs) return wholeSeconds(ms)
  throw new UsageError(
    `--expires must be a duration such as 90d, or a date in the future such as 2030-01-01, not "${given}".`,
  )
}

/** The value of --overlap, in milliseconds. */
export function overlapOf(given: string): number {
  const ms = parseDuration(given)
  if (ms !== undefined) return ms
  throw new UsageError(`--overlap must be a duration such as 7d, 12h or 0s, not "${given}".`)
}

/** A time as key files have it. */
export function wholeSeconds(ms: number): number {
  return Math.floor(ms / 1_000) * 1_000
}

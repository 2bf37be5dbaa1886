/** The key file: which keys there are, as JSON. It holds no secret, only what recognises one. */
import { ConfigError } from '../platform/env.ts'
import { instant } from '../platform/units.ts'
import { faultsOf, isRecord, type Members, wholeNumber } from './members.ts'
import { isOriginRule } from './origins.ts'
import { hasRepeatedMember } from './repeated-member.ts'
import { isSecretId, KEY_KINDS, type KeyKind } from './secret.ts'

export interface Secret {
  /** Part of the text, and unique in the file. */
  id: string
  /** Digest of the text, in hexadecimal. */
  sha256: string
  /** Whole seconds, as milliseconds since 1970; so are all times here. */
  createdMs: number
  /** From then on it is refused. */
  expiresMs: number | undefined
}

export interface Key {
  /** Unique in the file. */
  label: string
  kind: KeyKind
  /** The rules for the pages that may use a browser key; empty for other kinds. */
  origins: readonly string[]
  /** The limit of its own, if it has one. */
  eventsPerSecond: number | undefined
  burst: number | undefined
  /** At least one; the newest is last. */
  secrets: readonly Secret[]
}

export interface KeyFile {
  keys: readonly Key[]
}

/** The members of the file, as they are written. */
interface KeyMembers {
  label: string
  kind: KeyKind
  origins?: readonly string[]
  events_per_second?: number
  burst?: number
  secrets: readonly { id: string; sha256: string; created: string; expires?: string }[]
}

export const MAX_KEY_FILE_BYTES = 1024 * 1024
const MAX_KEYS = 1_000
export const MAX_EVENTS_PER_SECOND = 1_000_000
/** A smaller one would refuse the largest batch for ever. */
export const MIN_BURST = 1_000
export const MAX_BURST = 10_000_000

/** Shorter than every secret and every digest, so neither can be taken for a label, which is shown. */
export const MAX_LABEL_LENGTH = 63
const LABEL = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/
const DIGEST = /^[0-9a-f]{64}$/
/** Some editors on Windows write it, and nobody sees it (RFC 8259, 8.1). */
const BYTE_ORDER_MARK = /^\uFEFF/
const TIME = 'be a time such as 2027-01-02T03:04:05Z'

const keyMembers: Members<KeyMembers> = {
  label: {
    isRight: (value) => typeof value === 'string' && isLabel(value),
    must: 'have 1 to 63 letters (A to Z), digits, dots, underscores and hyphens, and begin with a letter or digit',
  },
  kind: {
    isRight: (value) => KEY_KINDS.some((kind) => kind === value),
    must: `be one of ${KEY_KINDS.join(', ')}`,
  },
  origins: {
    isRight: (value) =>
      Array.isArray(value) && value.every((item) => typeof item === 'string' && isOriginRule(item)),
    must: 'be an array of origins such as https://example.com or https://*.example.com',
    optional: true,
  },
  events_per_second: { ...wholeNumber(1, MAX_EVENTS_PER_SECOND), optional: true },
  burst: { ...wholeNumber(MIN_BURST, MAX_BURST), optional: true },
  secrets: {
    isRight: (value) => Array.isArray(value) && value.length > 0,
    must: 'be an array of at least one secret',
  },
}

const secretMembers: Members<KeyMembers['secrets'][number]> = {
  id: {
    isRight: (value) => typeof value === 'string' && isSecretId(value),
    must: 'be 8 letters and digits',
  },
  sha256: {
    isRight: (value) => typeof value === 'string' && DIGEST.test(value),
    must: 'be 64 hexadecimal digits in lower case',
  },
  created: { isRight: (value) => timeOf(value) !== undefined, must: TIME },
  expires: { isRight: (value) => timeOf(value) !== undefined, must: TIME, optional: true },
}

export function isLabel(text: string): boolean {
  return LABEL.test(text)
}

/**
 * Reads a key file. Unknown and repeated members are faults: a typing error in `expires`, or a second one that somebody
 * has overlooked, must not make a key last longer.
 *
 * @throws {ConfigError} that lists all faults. They name labels, ids and members, and show nothing else of the text
 */
export function parseKeyFile(text: string): KeyFile {
  const keys = keysOf(text)
  const faults = [...keys.flatMap((key, n) => faultsOfKey(key, n + 1)), ...faultsOfAll(keys)]
  if (faults.length > 0) throw new ConfigError(faults)
  return { keys: (keys as unknown as KeyMembers[]).map(keyOf) }
}

/** The text of a key file, for people and for parseKeyFile(). */
export function formatKeyFile({ keys }: KeyFile): string {
  const members = keys.map(
    ({ label, kind, origins, eventsPerSecond, burst, secrets }): KeyMembers => ({
      label,
      kind,
      ...(origins.length === 0 ? {} : { origins }),
      ...(eventsPerSecond === undefined ? {} : { events_per_second: eventsPerSecond }),
      ...(burst === undefined ? {} : { burst }),
      secrets: secrets.map(({ id, sha256, createdMs, expiresMs }) => ({
        id,
        sha256,
        created: instant(createdMs),
        ...(expiresMs === undefined ? {} : { expires: instant(expiresMs) }),
      })),
    }),
  )
  return `${JSON.stringify({ keys: members }, null, 2)}\n`
}

/** @throws {ConfigError} */
function keysOf(text: string): Record<string, unknown>[] {
  if (Buffer.byteLength(text) > MAX_KEY_FILE_BYTES) throw new ConfigError(['it is larger than 1 MiB'])
  if (text.trim() === '') throw new ConfigError(['it is empty'])
  const file = parseJson(text)
  if (hasRepeatedMember(text)) throw new ConfigError(['it has an object with two members of the same name'])
  const keys = isRecord(file) && Object.keys(file).join() === 'keys' ? file.keys : undefined
  if (!Array.isArray(keys) || !keys.every(isRecord))
    throw new ConfigError(['it must be an object with one member, "keys", an array of objects'])
  if (keys.length > MAX_KEYS) throw new ConfigError([`it has more than ${MAX_KEYS} keys`])
  return keys
}

/** @throws {ConfigError} without the parser's message, which quotes the text */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text.replace(BYTE_ORDER_MARK, ''))
  } catch (error) {
    const [where = ''] = /line \d+ column \d+/.exec((error as Error).message) ?? []
    throw new ConfigError([`it is not JSON${where && ` (${where})`}`])
  }
}

function faultsOfKey(key: Record<string, unknown>, n: number): string[] {
  const { label, kind, origins, secrets } = key
  const where = keyMembers.label.isRight(label) ? `key "${label as string}"` : `key ${n}`
  const faults = faultsOf(key, keyMembers, where)
  if (origins !== undefined && kind !== 'browser')
    faults.push(`${where}: only a key of kind browser has "origins"`)
  const parts: unknown[] = Array.isArray(secrets) ? secrets : []
  return [
    ...faults,
    ...parts.flatMap((secret, at) => faultsOf(secret, secretMembers, `${where}, secret ${at + 1}`)),
  ]
}

/** What must be unique in the file. */
function faultsOfAll(keys: readonly Record<string, unknown>[]): string[] {
  const secrets = keys.flatMap((key) => (Array.isArray(key.secrets) ? key.secrets.filter(isRecord) : []))
  return [
    ...repeated(keys.map(({ label }) => label).filter(keyMembers.label.isRight)).map(
      (label) => `two keys have the label "${String(label)}"`,
    ),
    ...repeated(secrets.map(({ id }) => id).filter(secretMembers.id.isRight)).map(
      (id) => `two secrets have the id ${String(id)}`,
    ),
    ...(repeated(secrets.map(({ sha256 }) => sha256).filter(secretMembers.sha256.isRight)).length > 0
      ? ['two secrets have the same "sha256"']
      : []),
  ]
}

/** What occurs more than once. */
function repeated(values: readonly unknown[]): unknown[] {
  const seen = new Set()
  const again = new Set()
  for (const value of values) (seen.has(value) ? again : seen).add(value)
  return [...again]
}

function keyOf({ label, kind, origins = [], events_per_second, burst, secrets }: KeyMembers): Key {
  return {
    label,
    kind,
    origins,
    eventsPerSecond: events_per_second,
    burst,
    secrets: secrets.map(({ id, sha256, created, expires }) => ({
      id,
      sha256,
      createdMs: Date.parse(created),
      expiresMs: expires === undefined ? undefined : Date.parse(expires),
    })),
  }
}

/** Only the form that formatKeyFile() writes, so that 30 February is none. */
function timeOf(value: unknown): number | undefined {
  const ms = typeof value === 'string' ? Date.parse(value) : Number.NaN
  return Number.isNaN(ms) || instant(ms) !== value ? undefined : ms
}

import type { Key, Secret } from '../access/key-file.ts'
import { duration, instant, listed } from '../platform/units.ts'
import type { KeyFile } from './facts-access.ts'
import type { Finding } from './finding.ts'

/** Time enough to give all clients of a key its next secret. */
const SOON_MS = 14 * 86_400_000
/** Pages of every site can have this origin, in a frame with a sandbox. */
const OPAQUE = 'null'
/** So many commands are printed; more of them would only be a long line. */
const MAX_COMMANDS = 4

/**
 * Which keys expire, and which browser keys can be used by everybody or without limit.
 *
 * @param defaultLimit KEY_EVENTS_PER_SECOND, the limit of keys without their own
 */
export function judgeKeys({ path, keys, atMs }: KeyFile, defaultLimit: number | undefined): Finding[] {
  const isDue = (key: Key): boolean => endOfKey(key) > atMs && endOfKey(key) <= atMs + SOON_MS
  const others = keys.filter((key) => !isDue(key))
  const live = keys.filter((key) => endOfKey(key) > atMs)
  return [
    ...keys.filter(isDue).map((key) => expires(key, atMs)),
    ...others.flatMap((key) => oldSecrets(key, atMs)),
    // Of a key that is due, the rotation removes them.
    ...expired(path, others, atMs),
    ...browserKeys(path, live, defaultLimit),
  ]
}

/** Those of a key that was rotated. */
function oldSecrets(key: Key, atMs: number): Finding[] {
  return key.secrets
    .filter((secret) => endOf(secret) > atMs && endOf(secret) <= atMs + SOON_MS)
    .map((secret) => ({
      check: 'keys',
      level: 'note',
      text: `Of key "${key.label}", the secret ${secret.id} ends ${when(secret, atMs)}: clients that still send it then get 401.`,
      mend: `Give them the newest secret of the key, ${newest(key)?.id}, before that.`,
    }))
}

function expires(key: Key, atMs: number): Finding {
  const { label, secrets } = key
  const last = secrets.find((secret) => endOf(secret) === endOfKey(key))!
  // Rotated as it is, it would expire soon again.
  const isBrief = lifetimeMs(newest(key)) <= SOON_MS
  return {
    check: 'keys',
    level: isBrief ? 'note' : 'warning',
    text: `Key "${label}" (secret ${last.id}) expires ${when(last, atMs)}: from then on, its clients get 401.`,
    mend: `${isBrief ? 'If it should last: ' : ''}npx firehose keys rotate ${label} --overlap 7d${isBrief ? ' --expires 365d' : ''}`,
  }
}

function expired(path: string, keys: readonly Key[], atMs: number): Finding[] {
  const ended = keys.flatMap(({ label, secrets }) =>
    secrets.filter((secret) => endOf(secret) <= atMs).map(({ id }) => ({ id, label })),
  )
  if (ended.length === 0) return []
  const names = ended.map(({ id, label }) => `${id} of key "${label}"`)
  return [
    {
      check: 'keys',
      level: 'note',
      text: `Still in ${path}, although expired: ${listed(names)}. Clients that send such a secret get 401.`,
      mend: commands(ended.map(({ id }) => `npx firehose keys revoke ${id}`)),
    },
  ]
}

function browserKeys(path: string, live: readonly Key[], defaultLimit: number | undefined): Finding[] {
  const browser = live.filter(({ kind }) => kind === 'browser')
  const noOrigin = browser.filter(({ origins }) => origins.length === 0)
  const opaque = browser.filter(({ origins }) => origins.includes(OPAQUE))
  const noLimit = browser.filter(({ eventsPerSecond = defaultLimit }) => eventsPerSecond === undefined)
  return [
    ...about(noOrigin, {
      level: 'warning',
      text: (names) => `These browser keys have no origins, so each request with them gets 403: ${names}.`,
      mend: `Add to each in ${path}: "origins": ["https://www.example.com"], from where your pages are loaded.`,
    }),
    ...about(opaque, {
      level: 'note',
      text: (names) =>
        `These browser keys have the origin "null", so pages of any site can use them: ${names}.`,
      mend: `Take "null" out of their origins in ${path}, unless your own pages are files or in sandboxes.`,
    }),
    ...about(noLimit, {
      level: 'warning',
      text: (names) =>
        `These browser keys, which everybody can copy from your pages, have no limit (KEY_EVENTS_PER_SECOND is not set here, either): ${names}.`,
      mend: `Set KEY_EVENTS_PER_SECOND for the API and for the doctor; or add to each in ${path}: "events_per_second": 500, twice what all of your visitors send at most.`,
    }),
  ]
}

function about(
  keys: readonly Key[],
  { level, text, mend }: { level: Finding['level']; text: (names: string) => string; mend: string },
): Finding[] {
  if (keys.length === 0) return []
  return [{ check: 'keys', level, text: text(listed(keys.map(({ label }) => `"${label}"`))), mend }]
}

function commands(all: readonly string[]): string {
  const more = all.length - MAX_COMMANDS
  return `${all.slice(0, MAX_COMMANDS).join(' && ')}${more > 0 ? ` (and ${more} more: npx firehose keys list)` : ''}`
}

function newest({ secrets }: Key): Secret | undefined {
  return secrets.at(-1)
}

function lifetimeMs(secret: Secret | undefined): number {
  return secret === undefined ? Infinity : endOf(secret) - secret.createdMs
}

function endOf({ expiresMs = Infinity }: Secret): number {
  return expiresMs
}

function endOfKey({ secrets }: Key): number {
  return Math.max(...secrets.map(endOf))
}

function when({ expiresMs = 0 }: Secret, atMs: number): string {
  return `at ${instant(expiresMs)}, in ${duration((expiresMs - atMs) / 1_000)}`
}

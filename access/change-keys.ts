/** What `firehose keys` does to the keys. Pure; each function throws a KeyChangeError if it cannot be done. */
import { KeyChangeError } from './errors.ts'
import type { Key, KeyFile, Secret } from './key-file.ts'

/** Adds a key. */
export function createKey({ keys }: KeyFile, key: Key): KeyFile {
  if (keys.some(({ label }) => label === key.label))
    throw new KeyChangeError(
      `there is a key "${key.label}" already: choose another label, or give that key a new secret with "npx firehose keys rotate ${key.label} --overlap 7d"`,
    )
  return { keys: [...keys, key] }
}

/** Removes the key with this label or, by its id, one secret; a key goes with its last secret. */
export function revokeKey({ keys }: KeyFile, labelOrId: string): KeyFile {
  if (keys.some(({ label }) => label === labelOrId))
    return { keys: keys.filter(({ label }) => label !== labelOrId) }
  if (!keys.some(({ secrets }) => secrets.some(({ id }) => id === labelOrId)))
    throw new KeyChangeError(
      `there is no key and no secret "${labelOrId}": "npx firehose keys list" shows all labels and ids`,
    )
  const rest = keys.map((key) => ({ ...key, secrets: key.secrets.filter(({ id }) => id !== labelOrId) }))
  return { keys: rest.filter(({ secrets }) => secrets.length > 0) }
}

/** Adds a secret to a key. Its others end with the overlap, unless they end before; those that have ended are dropped. */
export function rotateKey(
  file: KeyFile,
  label: string,
  secret: Secret,
  { nowMs, overlapMs }: { nowMs: number; overlapMs: number },
): KeyFile {
  const rotated = keyWithLabel(file, label)
  const endMs = nowMs + overlapMs
  const old = rotated.secrets
    .map((each) => ({ ...each, expiresMs: Math.min(each.expiresMs ?? endMs, endMs) }))
    .filter(({ expiresMs }) => expiresMs > nowMs)
  const key = { ...rotated, secrets: [...old, secret] }
  return { keys: file.keys.map((each) => (each === rotated ? key : each)) }
}

/** @throws {KeyChangeError} if there is none */
export function keyWithLabel({ keys }: KeyFile, label: string): Key {
  const key = keys.find((each) => each.label === label)
  if (key !== undefined) return key
  throw new KeyChangeError(`there is no key "${label}": "npx firehose keys list" shows all labels`)
}

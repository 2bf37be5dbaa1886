import { hash, randomInt } from 'node:crypto'
import { crc32 } from 'node:zlib'

/**
 * The secret of a key, as clients send it:
 *
 *     fh_server_a1B2c3D4_<43 characters>_<6 characters>
 *        kind   id       the secret      the checksum
 *
 * The form lets scanners find a secret that was published by mistake. The id names it in lists and logs. The checksum tells
 * a typing error from a secret that does not exist, without any list of secrets.
 */

export const KEY_KINDS = ['browser', 'server', 'read', 'operate'] as const
export type KeyKind = (typeof KEY_KINDS)[number]

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const ID_LENGTH = 8
/** 62^43 is a little more than 2^256. */
const SECRET_LENGTH = 43
/** 62^6 is more than 2^32. */
const CHECKSUM_LENGTH = 6

const PREFIX = /^fh_/i
const base62 = (length: number): string => `[0-9A-Za-z]{${length}}`
const ID = new RegExp(`^${base62(ID_LENGTH)}$`)
const FORM = new RegExp(
  `^fh_(${KEY_KINDS.join('|')})_(${base62(ID_LENGTH)})_${base62(SECRET_LENGTH)}_${base62(CHECKSUM_LENGTH)}$`,
)

/** A new secret. Only `id` and `sha256` may be kept. */
export function newSecret(kind: KeyKind): { text: string; id: string; sha256: string } {
  const id = randomText(ID_LENGTH)
  const checked = `fh_${kind}_${id}_${randomText(SECRET_LENGTH)}`
  const text = `${checked}_${checksum(checked)}`
  return { text, id, sha256: secretDigest(text) }
}

/**
 * What a text says of itself. It need not be the secret of any key.
 *
 * @returns 'mistyped' if it was meant to be a secret; undefined if it is something else, such as a JWT
 */
export function readSecret(text: string): { kind: KeyKind; id: string } | 'mistyped' | undefined {
  if (!PREFIX.test(text)) return undefined
  const [, kind, id] = FORM.exec(text) ?? []
  if (kind === undefined || id === undefined) return 'mistyped'
  const checked = text.slice(0, -CHECKSUM_LENGTH - 1)
  return text === `${checked}_${checksum(checked)}` ? { kind: kind as KeyKind, id } : 'mistyped'
}

/** SHA-256, in hexadecimal: what the key file has of a secret. */
export function secretDigest(text: string): string {
  return hash('sha256', text, 'hex')
}

export function isSecretId(text: string): boolean {
  return ID.test(text)
}

/** CRC-32: detects every wrong, missing or exchanged character. */
function checksum(checked: string): string {
  let rest = crc32(checked)
  let digits = ''
  for (let n = 0; n < CHECKSUM_LENGTH; n += 1) {
    digits = BASE62.charAt(rest % 62) + digits
    rest = Math.floor(rest / 62)
  }
  return digits
}

function randomText(length: number): string {
  return Array.from({ length }, () => BASE62.charAt(randomInt(BASE62.length))).join('')
}

import { createPublicKey, type KeyObject } from 'node:crypto'
import { listed } from '../../../platform/units.ts'

/** More than any issuer has; bounds the work for one set. */
const MAX_KEYS = 100
/** How many keys a token without a `kid` is tried with. */
const MAX_TRIED = 4
const MIN_RSA_BITS = 2_048
/** Members that only a private or a symmetric key has (RFC 7518, section 6). */
const SECRET_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv']

/** The signatures that can be checked with a public key, and the keys that they need (RFC 7518, 8037 and 9864). */
const NEEDED_KEYS: Readonly<Record<string, { kty: string; crv?: string }>> = {
  RS256: { kty: 'RSA' },
  RS384: { kty: 'RSA' },
  RS512: { kty: 'RSA' },
  PS256: { kty: 'RSA' },
  PS384: { kty: 'RSA' },
  PS512: { kty: 'RSA' },
  ES256: { kty: 'EC', crv: 'P-256' },
  ES384: { kty: 'EC', crv: 'P-384' },
  ES512: { kty: 'EC', crv: 'P-521' },
  EdDSA: { kty: 'OKP', crv: 'Ed25519' },
  Ed25519: { kty: 'OKP', crv: 'Ed25519' },
}

/** Every algorithm that a setting may name. */
export const ALGORITHMS: readonly string[] = Object.keys(NEEDED_KEYS)

interface IssuerKey {
  kid: string | undefined
  /** Of the allowed algorithms, those that this key may be used with. */
  algorithms: readonly string[]
  key: KeyObject
}

/** The public keys of an issuer. Immutable. */
export class KeySet {
  readonly size: number
  /** The same text for the same keys, in whatever order and notation the set lists them. */
  readonly content: string
  /** Why members of the set are not used, without anything of what they hold: `key 2 is private`. */
  readonly ignored: readonly string[]
  readonly #keys: readonly IssuerKey[]

  constructor(keys: readonly IssuerKey[], ignored: readonly string[]) {
    this.size = keys.length
    this.ignored = ignored
    this.content = keys.map(contentOf).toSorted().join('\n')
    this.#keys = keys
  }

  /** The keys that may have signed a token with this header: the one of its `kid`, or some of those for its algorithm. */
  find(algorithm: string, kid: string | undefined): KeyObject[] {
    return this.#keys
      .filter((each) => each.algorithms.includes(algorithm) && (kid === undefined || each.kid === kid))
      .slice(0, MAX_TRIED)
      .map((each) => each.key)
  }
}

function contentOf({ kid, algorithms, key }: IssuerKey): string {
  return JSON.stringify([kid, algorithms, key.export({ type: 'spki', format: 'der' }).toString('base64')])
}

/**
 * Reads a JWKS (RFC 7517). Private and symmetric members are not used: what is published can sign nothing. Neither are
 * members for other purposes or algorithms.
 *
 * @param algorithms the allowed ones
 * @throws an Error that completes a sentence about the set, without anything of what it holds
 */
export function parseKeySet(text: string, algorithms: readonly string[]): KeySet {
  const members = membersOf(text)
  const keys: IssuerKey[] = []
  const ignored: string[] = []
  for (const [index, member] of members.entries()) {
    const read = readMember(member, algorithms)
    if (typeof read === 'string') ignored.push(`key ${index + 1} ${read}`)
    else if (read !== undefined) keys.push(read)
  }
  if (keys.length > 0) return new KeySet(keys, ignored)
  const why = ignored.length === 0 ? '' : ` (${listed(ignored)})`
  throw new Error(`has no public key for ${algorithms.join(', ')}${why}`)
}

function membersOf(text: string): readonly unknown[] {
  let set: unknown
  try {
    set = JSON.parse(text)
  } catch {
    throw new Error('is not JSON')
  }
  const members = isObject(set) ? set.keys : undefined
  if (!Array.isArray(members)) throw new Error('is no JWKS: it lacks the list "keys"')
  if (members.length > MAX_KEYS) throw new Error(`has more than ${MAX_KEYS} keys`)
  return members
}

/** @returns the key; why it cannot be used; or undefined, if it is meant for something else */
function readMember(member: unknown, algorithms: readonly string[]): IssuerKey | string | undefined {
  if (!isObject(member)) return 'is no JSON object'
  const { kty, crv, kid, alg, use, key_ops: operations } = member
  if (kty === 'oct') return 'is symmetric'
  if (SECRET_MEMBERS.some((name) => Object.hasOwn(member, name))) return 'is private'
  if (use !== undefined && use !== 'sig') return undefined
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify')))
    return undefined
  const fitting = algorithms.filter((name) => {
    const needed = NEEDED_KEYS[name]
    return needed?.kty === kty && (needed?.crv ?? crv) === crv && (alg ?? name) === name
  })
  if (fitting.length === 0) return undefined
  let key: KeyObject
  try {
    key = createPublicKey({ key: member, format: 'jwk' })
  } catch {
    return 'cannot be read'
  }
  const bits = key.asymmetricKeyDetails?.modulusLength
  if (bits !== undefined && bits < MIN_RSA_BITS) return `has less than ${MIN_RSA_BITS} bits`
  return { kid: typeof kid === 'string' ? kid : undefined, algorithms: fitting, key }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

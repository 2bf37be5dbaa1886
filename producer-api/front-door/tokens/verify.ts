import type { KeyObject } from 'node:crypto'
import { decodeProtectedHeader, errors, type JWTPayload, jwtVerify } from 'jose'

/** How far the issuer's clock may be from ours. */
const LEEWAY_S = 60
/** Three parts in base64url. */
const COMPACT_FORM = /^[\w-]+\.[\w-]+\.[\w-]+$/

/** What a token must be like. */
export interface Expected {
  algorithms: readonly string[]
  issuer: string
  /** The token must be for one of them. */
  audience: readonly string[]
}

/** What a token says about itself: which key to check it with. */
export interface TokenHeader {
  algorithm: string
  kid: string | undefined
}

/** A token that must not be used; `detail` is a sentence without anything of the token. */
export interface Invalid {
  kind: 'invalid'
  detail: string
}

export interface Verified {
  kind: 'verified'
  subject: string | undefined
  /** When it expires, with the leeway; milliseconds since 1970. */
  expiresMs: number
}

export const invalid = (detail: string): Invalid => ({ kind: 'invalid', detail })

const NOT_A_JWT = invalid('The token is not a JWT.')

/** Reads the header of a token whose signature was not checked yet, and refuses what no key could make valid. */
export function readHeader(token: string, algorithms: readonly string[]): TokenHeader | Invalid {
  if (!COMPACT_FORM.test(token) || !endsCanonically(token)) return NOT_A_JWT
  let header: { alg?: unknown; kid?: unknown }
  try {
    header = decodeProtectedHeader(token)
  } catch {
    return NOT_A_JWT
  }
  const { alg, kid } = header
  if (typeof alg !== 'string' || (kid !== undefined && typeof kid !== 'string')) return NOT_A_JWT
  if (alg.toLowerCase() === 'none') return invalid('The token is not signed.')
  if (!algorithms.includes(alg))
    return invalid(`The token is signed with an algorithm that is not allowed: use ${algorithms.join(', ')}.`)
  return { algorithm: alg, kid }
}

/**
 * Whether the signature is the one text that its bytes have: base64url may end with bits that decode to nothing, so that
 * other texts would be the same token.
 */
function endsCanonically(token: string): boolean {
  const signature = token.slice(token.lastIndexOf('.') + 1)
  return Buffer.from(signature, 'base64url').toString('base64url') === signature
}

/**
 * Checks signature and claims. Works in the thread pool.
 *
 * @param keys those that may have signed it, at least one
 * @throws only what is not the token's fault
 */
export async function verify(
  token: string,
  algorithm: string,
  keys: readonly KeyObject[],
  { issuer, audience }: Expected,
  nowMs: number,
): Promise<Verified | Invalid> {
  const options = {
    algorithms: [algorithm],
    issuer,
    audience: [...audience],
    clockTolerance: LEEWAY_S,
    requiredClaims: ['exp'],
    currentDate: new Date(nowMs),
  }
  let refusal: Invalid | undefined
  for (const key of keys) {
    try {
      // One after the other: there is almost always one key only.
      // oxlint-disable-next-line no-await-in-loop
      const { payload } = await jwtVerify(token, key, options)
      return verified(payload)
    } catch (error) {
      if (!(error instanceof errors.JOSEError)) throw error
      refusal = refusalOf(error)
      if (!(error instanceof errors.JWSSignatureVerificationFailed)) break
    }
  }
  return refusal ?? NOT_A_JWT
}

function verified({ sub, exp = 0 }: JWTPayload): Verified | Invalid {
  const subject: unknown = sub
  if (subject !== undefined && typeof subject !== 'string')
    return invalid('The subject (sub) of the token is not a text.')
  return { kind: 'verified', subject, expiresMs: (exp + LEEWAY_S) * 1_000 }
}

const WRONG_CLAIM: Readonly<Record<string, string>> = {
  iss: 'The token is of another issuer (iss).',
  aud: 'The token is for another audience (aud).',
  nbf: 'The token is not valid yet (nbf).',
}

function refusalOf(error: errors.JOSEError): Invalid {
  if (error instanceof errors.JWTExpired) return invalid('The token has expired (exp). Get a new one.')
  if (error instanceof errors.JWTClaimValidationFailed) {
    const { claim, reason } = error
    if (reason === 'missing') return invalid(`The token lacks a claim that is required: ${claim}.`)
    return invalid(WRONG_CLAIM[claim] ?? `A claim of the token has a wrong value: ${claim}.`)
  }
  if (error instanceof errors.JWSSignatureVerificationFailed)
    return invalid('The signature of the token is not that of its key.')
  if (error instanceof errors.JOSENotSupported)
    return invalid('The token needs an extension that is not supported (crit).')
  return NOT_A_JWT
}

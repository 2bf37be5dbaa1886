/**
 * START HERE: what a request passes before its body is read. In this order: the limit of the client's address, the
 * credential, the page that it comes from, and the credential's limit for the request. Once its events are counted, the
 * caller's takeRest() asks the same limit for the rest of them.
 */
import type { IncomingMessage } from 'node:http'
import type { LiveKey } from '../../access/key-ring.ts'
import type { KeyStore } from '../../access/key-store.ts'
import { readSecret } from '../../access/secret.ts'
import type { Refusal } from '../intake/answer.ts'
import { ANYONE, type Caller, KeyCaller, TokenCaller } from './callers.ts'
import { credentialOf } from './credential.ts'
import { type AddressLimit, type KeyLimits, type SubjectLimit, tooMany } from './limits/limits.ts'
import { forbidden, unauthorized, undecided } from './refusals.ts'
import type { Tokens, TokenVerdict } from './tokens/tokens.ts'

export interface FrontDoorParts {
  /** Undefined: no keys are taken. */
  keys: KeyStore | undefined
  /** Undefined: no tokens are taken. */
  tokens: Tokens | undefined
  /** Whether all events of a token must have its subject as their user_id. */
  subjectIsUser: boolean
  /** Whether requests without a credential are admitted. */
  isAnonymous: boolean
  /** The client's canonical address. */
  addressOf: (request: IncomingMessage) => string | undefined
  addressLimit: AddressLimit | undefined
  keyLimits: KeyLimits
  subjectLimit: SubjectLimit | undefined
  /** Whether a request comes from a page that CORS_ORIGINS does not list. */
  isForeign: (request: IncomingMessage) => boolean
}

const FOREIGN_ORIGIN: Refusal = {
  kind: 'refused',
  problem: 'foreign-origin',
  detail: 'Pages of this origin may not send events; CORS_ORIGINS lists those that may.',
}
const MISSING = unauthorized('A key or a token is needed: send it as Authorization: Bearer.', true)
const UNKNOWN = unauthorized(
  'The key is not known here: it was revoked, is less than 5 s old, or belongs to another installation.',
)
const MISTYPED = unauthorized(
  'The key has a typing error, because its checksum does not match: copy the whole key again.',
)
const EXPIRED = unauthorized('The key has expired. Get a new one.')
const NOT_A_KEY = unauthorized('The credential is not a key of Firehose, which begins with "fh_".')
const NO_WRITING = forbidden('Keys of this kind may not send events; server and browser keys may.')
const NOT_IN_QUERY = forbidden(
  'Only browser keys may be sent in the query: send this one as Authorization: Bearer.',
)
const NOT_FROM_PAGES = forbidden('Server keys may not be used by pages: make a browser key for them.')
const OTHER_PAGES = forbidden('Pages of this origin may not use this key; the key file lists those that may.')
const NO_PAGE = forbidden('Browser keys may only be used by pages: requests with them need an Origin.')

/** Decides which requests may send events. */
export class FrontDoor {
  readonly #parts: FrontDoorParts

  constructor(parts: FrontDoorParts) {
    this.#parts = parts
  }

  /** @param nowMs of performance.now() @returns a promise, which never rejects, only for a token that must be verified */
  admit(request: IncomingMessage, nowMs: number): Caller | Refusal | Promise<Caller | Refusal> {
    const { addressLimit, addressOf, isAnonymous, keys, tokens } = this.#parts
    const over = addressLimit?.take(addressOf(request), nowMs)
    if (over !== undefined) return tooMany(over)
    if (keys === undefined && tokens === undefined) return this.#anyone(request)
    const sent = credentialOf(request)
    if (sent.kind === 'none') return isAnonymous ? this.#anyone(request) : MISSING
    if (sent.kind === 'unusable') return unauthorized(sent.detail)
    const { text, inQuery } = sent
    const isToken = tokens !== undefined && !inQuery && !text.startsWith('fh_')
    if (!isToken) return this.#byKey(request, text, inQuery, nowMs)
    const verdict = tokens.check(text, request.socket)
    return verdict instanceof Promise
      ? verdict.then((later) => this.#byToken(request, later, performance.now()))
      : this.#byToken(request, verdict, nowMs)
  }

  #anyone(request: IncomingMessage): Caller | Refusal {
    return this.#parts.isForeign(request) ? FOREIGN_ORIGIN : ANYONE
  }

  #byKey(request: IncomingMessage, text: string, inQuery: boolean, nowMs: number): Caller | Refusal {
    const found = this.#parts.keys?.ring.find(text, Date.now())
    if (found === undefined) return unknownKey(text)
    if (found === 'expired') return EXPIRED
    const refusal = refusalOf(found, request.headers.origin, inQuery)
    if (refusal !== undefined) return refusal
    const caller = new KeyCaller(found.key, this.#parts.keyLimits)
    return caller.takeRequest(nowMs) ?? caller
  }

  #byToken(request: IncomingMessage, verdict: TokenVerdict, nowMs: number): Caller | Refusal {
    if (verdict.kind === 'invalid') return unauthorized(verdict.detail)
    if (verdict.kind === 'no-keys') return undecided(verdict.detail, verdict.retryAfterSeconds)
    const { isForeign, subjectLimit, subjectIsUser } = this.#parts
    if (isForeign(request)) return FOREIGN_ORIGIN
    const caller = new TokenCaller(verdict.subject, subjectLimit, subjectIsUser)
    return caller.takeRequest(nowMs) ?? caller
  }
}

function unknownKey(text: string): Refusal {
  const read = readSecret(text)
  if (read === 'mistyped') return MISTYPED
  return read === undefined ? NOT_A_KEY : UNKNOWN
}

/** Why this key may not send events from there. */
function refusalOf(live: LiveKey, origin: string | undefined, inQuery: boolean): Refusal | undefined {
  switch (live.key.kind) {
    case 'browser':
      if (origin === undefined) return NO_PAGE
      return live.allowsOrigin(origin) ? undefined : OTHER_PAGES
    case 'server':
      if (inQuery) return NOT_IN_QUERY
      return origin === undefined ? undefined : NOT_FROM_PAGES
    case 'read':
    case 'operate':
      return NO_WRITING
  }
}

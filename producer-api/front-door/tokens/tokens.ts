import { hash } from 'node:crypto'
import type { Logger } from '../../../platform/log.ts'
import { Jwks } from './jwks.ts'
import { fileSource, urlSource } from './jwks-source.ts'
import type { KeySet } from './key-set.ts'
import { TokenCache } from './token-cache.ts'
import { type Expected, type Invalid, invalid, readHeader, type TokenHeader, verify } from './verify.ts'
import { type WallClock, wallClock } from './wall-clock.ts'

/** Which tokens count, and where their keys are. */
export interface TokenSettings extends Expected {
  keys: { url: URL } | { file: string }
  /** Whether an event may only have the subject of its token as user_id. */
  subjectIsUser: boolean
}

export type TokenVerdict =
  | { kind: 'valid'; subject: string | undefined }
  | Invalid
  /** It cannot be judged now, for lack of keys or of time: 503. */
  | { kind: 'no-keys'; detail: string; retryAfterSeconds: number }

/** Longer tokens are refused without work. They are ASCII. */
const MAX_LENGTH = 8 * 1024
const MAX_CACHED = 10_000
/** How many signatures may wait for the thread pool: some 100 ms of work. */
const MAX_VERIFYING = 1_000
/** How many tokens may wait for a read of the JWKS, because their keys are not known. */
const MAX_ASKING = 1_000
const UNEXPECTED_LOG_INTERVAL_MS = 10_000

const TOO_LONG = invalid(`The token is longer than ${MAX_LENGTH} characters.`)
const UNKNOWN_KEY = invalid('The key that the token names is not one of its issuer.')
const BUSY: TokenVerdict = {
  kind: 'no-keys',
  detail: 'Too many tokens are being checked. Send the same request again.',
  retryAfterSeconds: 1,
}

const FAILED: TokenVerdict = {
  kind: 'no-keys',
  detail: 'The token cannot be checked at present. Send the same request again later.',
  retryAfterSeconds: 10,
}

/**
 * START HERE: judges tokens (JWT, RFC 7519) by the keys of their issuer. A token that was found valid is found again by
 * its digest for up to 5 minutes, as long as it has not expired and the keys are the same.
 */
export class Tokens {
  readonly #expected: Expected
  readonly #logger: Logger
  readonly #clock: WallClock
  readonly #jwks: Jwks
  readonly #cache = new TokenCache<TokenVerdict>(MAX_CACHED)
  /** The valid token that came last on each connection: most clients send one again and again, and a digest takes 1 us. */
  readonly #lastOf = new WeakMap<object, { token: string; digest: string }>()
  /** By digest: requests with the same token share one check. */
  readonly #verifying = new Map<string, Promise<TokenVerdict>>()
  #asking = 0
  #unexpectedLoggedMs = Number.NEGATIVE_INFINITY

  constructor(settings: TokenSettings, logger: Logger, clock: WallClock = wallClock) {
    const { keys, algorithms } = settings
    const source = 'url' in keys ? urlSource(keys.url) : fileSource(keys.file)
    this.#expected = settings
    this.#logger = logger
    this.#clock = clock
    this.#jwks = new Jwks(source, algorithms, logger, clock, () => this.#cache.clear())
  }

  /** Starts to read the keys in the background. */
  start(): void {
    this.#jwks.start()
  }

  close(): void {
    this.#jwks.close()
  }

  get status(): Jwks['status'] {
    return this.#jwks.status
  }

  /**
   * @param connection an object that stands for the connection on which it came
   * @returns at once for a token that was found valid before. The promise never rejects
   */
  check(token: string, connection?: object): TokenVerdict | Promise<TokenVerdict> {
    const nowMs = this.#clock.now()
    const keys = this.#jwks.usable(nowMs)
    if (keys === undefined) {
      this.#jwks.catchUp(nowMs)
      return this.#noKeys(nowMs, 'No keys are known to check tokens with.')
    }
    if (token.length > MAX_LENGTH) return TOO_LONG
    const last = connection && this.#lastOf.get(connection)
    const isLast = last?.token === token
    const digest = isLast ? last.digest : hash('sha256', token, 'base64')
    const found = this.#cache.find(digest, nowMs)
    if (found === undefined) return this.#judge(token, digest, keys, nowMs)
    if (connection !== undefined && !isLast) this.#lastOf.set(connection, { token, digest })
    return found
  }

  #judge(token: string, digest: string, keys: KeySet, nowMs: number): TokenVerdict | Promise<TokenVerdict> {
    const header = readHeader(token, this.#expected.algorithms)
    if ('kind' in header) return header
    return this.#verify(token, digest, header, keys, nowMs) ?? this.#ask(token, digest, header, nowMs)
  }

  /** @returns undefined if the set has no key for it */
  #verify(
    token: string,
    digest: string,
    { algorithm, kid }: TokenHeader,
    keys: KeySet,
    nowMs: number,
  ): TokenVerdict | Promise<TokenVerdict> | undefined {
    const running = this.#verifying.get(digest)
    if (running !== undefined) return running
    const candidates = keys.find(algorithm, kid)
    if (candidates.length === 0) return undefined
    if (this.#verifying.size >= MAX_VERIFYING) return BUSY
    const verdict = verify(token, algorithm, candidates, this.#expected, nowMs)
      .then((result): TokenVerdict => {
        if (result.kind === 'invalid') return result
        const valid: TokenVerdict = { kind: 'valid', subject: result.subject }
        const endMs = this.#clock.now()
        // Not if the keys have changed while it was checked: that has emptied the cache.
        if (this.#jwks.usable(endMs) === keys) this.#cache.add(digest, valid, result.expiresMs, endMs)
        return valid
      })
      .catch((error: unknown) => this.#unexpected(error))
      .finally(() => this.#verifying.delete(digest))
    this.#verifying.set(digest, verdict)
    return verdict
  }

  /** Judges a token whose key is not known: the issuer may have new ones. */
  #ask(
    token: string,
    digest: string,
    header: TokenHeader,
    nowMs: number,
  ): TokenVerdict | Promise<TokenVerdict> {
    const read = this.#jwks.ask(nowMs)
    if (read === undefined) return this.#unknownKey(nowMs)
    if (this.#asking >= MAX_ASKING) return BUSY
    this.#asking += 1
    return read.then(() => {
      this.#asking -= 1
      const laterMs = this.#clock.now()
      const keys = this.#jwks.usable(laterMs)
      const verdict = keys && this.#verify(token, digest, header, keys, laterMs)
      return verdict ?? this.#unknownKey(laterMs)
    })
  }

  /** While the JWKS cannot be read, the key may be a new one. */
  #unknownKey(nowMs: number): TokenVerdict {
    if (this.#jwks.problem === undefined) return UNKNOWN_KEY
    return this.#noKeys(
      nowMs,
      'The key that the token names is not known, and new keys cannot be read at present.',
    )
  }

  #noKeys(nowMs: number, reason: string): TokenVerdict {
    const detail = `${reason} Send the same request again later.`
    return { kind: 'no-keys', detail, retryAfterSeconds: this.#jwks.retryAfterSeconds(nowMs) }
  }

  /** A mistake of ours, or of the platform; never the token's. */
  #unexpected(error: unknown): TokenVerdict {
    const nowMs = this.#clock.now()
    if (Math.abs(nowMs - this.#unexpectedLoggedMs) >= UNEXPECTED_LOG_INTERVAL_MS) {
      this.#unexpectedLoggedMs = nowMs
      this.#logger.error({ error: (error as Error).name }, 'a token cannot be checked: unexpected error')
    }
    return FAILED
  }
}

/** Where the credential of a request is: `Authorization: Bearer`, `X-API-Key` or, for pages, `?key=`. */
import type { IncomingMessage } from 'node:http'

/** The text that a client sent as its credential. It is not checked yet, and must never be logged. */
export type Sent =
  | { kind: 'none' }
  /** Several, or one in a scheme that is not taken: `detail` says so in a sentence. */
  | { kind: 'unusable'; detail: string }
  | { kind: 'one'; text: string; inQuery: boolean }

const NONE: Sent = { kind: 'none' }
const SEVERAL: Sent = {
  kind: 'unusable',
  detail: 'Send one credential: as Authorization: Bearer, as X-API-Key or, from a page, as ?key=.',
}
const OTHER_SCHEME: Sent = {
  kind: 'unusable',
  detail: 'Authorization must be "Bearer" and a key or a token.',
}
const AUTHORIZATION = 'authorization'
/** RFC 6750, 2.1; the name of a scheme may be in any case (RFC 9110, 11.1). */
const BEARER = /^bearer +/i

/** The credential of a request. Several are refused, because a proxy could have checked another one (RFC 6750, 2). */
export function credentialOf({ headers, rawHeaders, url = '' }: IncomingMessage): Sent {
  const { authorization } = headers
  const apiKey = headers['x-api-key'] as string | undefined
  if (authorization !== undefined && isRepeated(AUTHORIZATION, rawHeaders)) return SEVERAL
  const query = url.indexOf('?')
  const inQuery = query < 0 ? undefined : keysIn(url.slice(query + 1))
  if (inQuery === undefined) {
    if (apiKey === undefined) return authorization === undefined ? NONE : bearer(authorization)
    return authorization === undefined ? { kind: 'one', text: apiKey, inQuery: false } : SEVERAL
  }
  const [text = '', ...more] = inQuery
  if (authorization !== undefined || apiKey !== undefined || more.length > 0) return SEVERAL
  return { kind: 'one', text, inQuery: true }
}

/** Whether several lines have this name: Node keeps the first Authorization and drops the others. */
function isRepeated(name: string, rawHeaders: readonly string[]): boolean {
  let count = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const each = rawHeaders[i]!
    if (each.length === name.length && each.toLowerCase() === name) count++
  }
  return count > 1
}

function bearer(authorization: string): Sent {
  const scheme = BEARER.exec(authorization)
  if (scheme === null) return OTHER_SCHEME
  return { kind: 'one', text: authorization.slice(scheme[0].length), inQuery: false }
}

/** The values of `key` in a query; undefined without any. */
function keysIn(query: string): string[] | undefined {
  const keys = new URLSearchParams(query).getAll('key')
  return keys.length === 0 ? undefined : keys
}

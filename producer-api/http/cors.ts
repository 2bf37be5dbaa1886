/** CORS (https://fetch.spec.whatwg.org/#http-cors-protocol): by Koa's middleware, and the same headers for the fast path. */
import type { IncomingMessage } from 'node:http'
import cors from '@koa/cors'
import type { Middleware } from 'koa'
import { originMatcher } from '../../access/origins.ts'
import type { PageOrigins } from './page-origins.ts'

/** CORS_ORIGINS: the origins whose pages may send events; empty if CORS is off. Items as isOriginRule() takes them. */
export type CorsOrigins = '*' | readonly string[]

const EXPOSED_HEADERS = ['X-Request-Id', 'Retry-After', 'Preference-Applied', 'RateLimit', 'RateLimit-Policy']
const PREFLIGHT_MAX_AGE_S = 7_200

/**
 * Whether a request comes from a page that may not send events: its origin is not in the list, and it is not the API's own
 * (/docs). Browsers hide the response from such a page, but beacons and `no-cors` requests arrive. Never if CORS is off.
 */
export function foreignOrigins(origins: CorsOrigins): (request: IncomingMessage) => boolean {
  if (origins === '*' || origins.length === 0) return () => false
  const allows = originMatcher(origins)
  return ({ headers: { origin, host } }) =>
    origin !== undefined && !allows(origin) && origin.slice(origin.indexOf('://') + 3) !== host
}

/**
 * Answers preflight requests, and adds the headers to every other response. Credentials of the browser (which beacons with
 * JSON bodies always send) are allowed only to origins that are listed themselves, never by a wildcard.
 */
export function corsMiddleware(origins: PageOrigins): Middleware {
  return cors({
    origin: (ctx) => {
      const origin = ctx.get('Origin')
      const match = origins.match(origin)
      if (match === 'exact') return origin
      return origins.isAny ? '*' : match === undefined ? '' : origin
    },
    credentials: (ctx) => origins.match(ctx.get('Origin')) === 'exact',
    allowMethods: ['GET', 'HEAD', 'POST'],
    exposeHeaders: EXPOSED_HEADERS,
    maxAge: PREFLIGHT_MAX_AGE_S,
  })
}

/** The headers of the response to a POST with this Origin, names and values in turn, as corsMiddleware() sets them. */
export function corsHeaders(origins: PageOrigins): (origin: string | undefined) => readonly string[] {
  const vary = ['Vary', 'Origin']
  const expose = ['Access-Control-Expose-Headers', EXPOSED_HEADERS.join(',')]
  const anyOrigin = [...vary, 'Access-Control-Allow-Origin', '*', ...expose]
  const none = origins.isAny ? anyOrigin : origins.isOn ? vary : []
  const credentials = ['Access-Control-Allow-Credentials', 'true']
  return (origin) => {
    const match = origin === undefined ? undefined : origins.match(origin)
    if (match === undefined || (origins.isAny && match === 'wildcard')) return none
    const allowed = [...vary, 'Access-Control-Allow-Origin', origin!]
    return match === 'exact' ? [...allowed, ...credentials, ...expose] : [...allowed, ...expose]
  }
}

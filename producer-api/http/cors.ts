/** CORS (https://fetch.spec.whatwg.org/#http-cors-protocol): by Koa's middleware, and the same headers for the fast path. */
import type { IncomingMessage } from 'node:http'
import cors from '@koa/cors'
import type { Middleware } from 'koa'
import { originMatcher } from '../../access/origins.ts'

/** The origins whose pages may send events, as rules (isOriginRule()); empty if CORS is off. */
export type CorsOrigins = '*' | readonly string[]

const EXPOSED_HEADERS = ['X-Request-Id', 'Retry-After', 'Preference-Applied']
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

/** Answers preflight requests, and adds the headers to every other response. */
export function corsMiddleware(origins: CorsOrigins): Middleware {
  const allows = originMatcher(origins)
  return cors({
    // `*` does not allow credentials, which beacons with JSON bodies always send: they need an explicit origin.
    origin: origins === '*' ? '*' : (ctx) => (allows(ctx.get('Origin')) ? ctx.get('Origin') : ''),
    credentials: origins !== '*',
    allowMethods: ['GET', 'HEAD', 'POST'],
    exposeHeaders: EXPOSED_HEADERS,
    maxAge: PREFLIGHT_MAX_AGE_S,
  })
}

/** The headers of the response to a POST with this Origin, names and values in turn, as corsMiddleware() sets them. */
export function corsHeaders(origins: CorsOrigins): (origin: string | undefined) => readonly string[] {
  const vary = ['Vary', 'Origin']
  const expose = ['Access-Control-Expose-Headers', EXPOSED_HEADERS.join(',')]
  if (origins === '*') {
    const anyOrigin = [...vary, 'Access-Control-Allow-Origin', '*', ...expose]
    return () => anyOrigin
  }
  const none = origins.length === 0 ? [] : vary
  const allows = originMatcher(origins)
  const credentials = ['Access-Control-Allow-Credentials', 'true']
  return (origin) =>
    origin !== undefined && allows(origin)
      ? [...vary, 'Access-Control-Allow-Origin', origin, ...credentials, ...expose]
      : none
}

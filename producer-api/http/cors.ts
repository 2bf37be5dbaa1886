/** CORS (https://fetch.spec.whatwg.org/#http-cors-protocol): by Koa's middleware, and the same headers for the fast path. */
import cors from '@koa/cors'
import type { Middleware } from 'koa'

/** The origins whose pages may send events; empty if CORS is off. */
export type CorsOrigins = '*' | readonly string[]

const EXPOSED_HEADERS = ['X-Request-Id', 'Retry-After']
const PREFLIGHT_MAX_AGE_S = 7_200

/** Answers preflight requests, and adds the headers to every other response. */
export function corsMiddleware(origins: CorsOrigins): Middleware {
  return cors({
    // `*` does not allow credentials, which beacons with JSON bodies always send: they need an explicit origin.
    origin: origins === '*' ? '*' : (ctx) => (origins.includes(ctx.get('Origin')) ? ctx.get('Origin') : ''),
    credentials: origins !== '*',
    allowMethods: ['GET', 'HEAD', 'POST'],
    exposeHeaders: EXPOSED_HEADERS,
    maxAge: PREFLIGHT_MAX_AGE_S,
  })
}

/** The headers of the response to a POST with this Origin, names and values in turn, as corsMiddleware() sets them. */
export function corsHeaders(origins: CorsOrigins): (origin: string | undefined) => readonly string[] {
  const vary = ['Vary', 'Origin']
  const allow = (origin: string): string[] => [...vary, 'Access-Control-Allow-Origin', origin]
  const expose = ['Access-Control-Expose-Headers', EXPOSED_HEADERS.join(',')]
  if (origins === '*') {
    const anyOrigin = [...allow('*'), ...expose]
    return () => anyOrigin
  }
  const none = origins.length === 0 ? [] : vary
  const byOrigin = new Map(
    origins.map((origin) => [
      origin,
      [...allow(origin), 'Access-Control-Allow-Credentials', 'true', ...expose],
    ]),
  )
  return (origin) => (origin === undefined ? none : (byOrigin.get(origin) ?? none))
}

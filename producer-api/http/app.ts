import { Router } from '@koa/router'
import Koa, { type Context, type Middleware, type Next } from 'koa'
import type { UserIdType } from '../../event/kinds.ts'
import { InvariantError } from '../../platform/errors.ts'
import type { Logger } from '../../platform/log.ts'
import { exitOnBug } from '../../platform/shutdown.ts'
import { type Ops, probeRoutes, reportRoutes } from '../../platform/ops-routes.ts'
import { answerProblem } from './answer-problem.ts'
import { corsMiddleware } from './cors.ts'
import { docsRoutes } from '../openapi/docs.ts'
import type { Ingest } from '../intake/ingest.ts'
import { openApiDocument } from '../openapi/document.ts'
import { type HeadLimits, headLimitsText, isOverLimit } from './head-limits.ts'
import type { PageOrigins } from './page-origins.ts'
import { isAlone } from './pipeline-limit.ts'
import { PROBLEMS } from './problem.ts'
import { requestId } from './request-id.ts'
import { RequestLog } from './request-log.ts'

export interface AppOptions {
  ingest: Ingest
  userIdType: UserIdType
  ops: Ops
  pageOrigins: PageOrigins
  /** Whether health, metrics and documentation are served by another port (OPS_PORT). */
  hasOpsPort: boolean
  headLimits: HeadLimits
  logger: Logger
  /** True during shutdown: connections are closed after their next response. */
  draining: () => boolean
}

/** All routes of the API. Every error response is problem+json. */
export function createApp(options: AppOptions): Koa {
  const app = new Koa()
  // Connection errors, such as a client that disconnects during the response.
  app.on('error', (error: unknown) => options.logger.debug({ err: error }, 'connection error'))
  app.use(outermost(options))
  if (options.pageOrigins.isOn) app.use(corsMiddleware(options.pageOrigins))
  app.use(limitHead(options.headLimits))
  app.use(unmatchedRoute(options.hasOpsPort))
  const router = new Router({ sensitive: true, strict: true })
  router.post('/event', options.ingest.handler('/event'))
  router.post('/events', options.ingest.handler('/events'))
  router.get('/problems/:name', describeProblem)
  app.use(router.routes())
  app.use(probeRoutes(options.ops).routes())
  if (!options.hasOpsPort)
    for (const more of [reportRoutes(options.ops), ...documentation(options.userIdType)])
      app.use(more.routes())
  return app
}

/** The description of the API, for programs and for people. */
export function documentation(userIdType: UserIdType): Router[] {
  const router = new Router()
  // Serialized once and shared by all responses.
  const document = Buffer.from(JSON.stringify(openApiDocument(userIdType)))
  router.get('/openapi.json', (ctx) => {
    ctx.type = 'application/json'
    ctx.body = document
  })
  return [router, docsRoutes()]
}

/** Sets the request id, logs refused requests, and turns exceptions into 500. */
function outermost({ logger, draining }: AppOptions) {
  const requestLog = new RequestLog(logger)
  return async (ctx: Context, next: Next): Promise<void> => {
    const id = requestId(ctx.req.headers['x-request-id'])
    ctx.set('X-Request-Id', id)
    if (ctx.req.headers.host === undefined && ctx.req.httpVersion === '1.1') {
      answerProblem(ctx, 'bad-request', 'A Host header is required.')
    } else {
      try {
        await next()
      } catch (error) {
        if (error instanceof InvariantError) exitOnBug(error, logger)
        logger.error({ request_id: id, err: error }, 'request failed')
        if (!ctx.headerSent) answerProblem(ctx, 'internal', 'The server failed to handle this request.')
      }
    }
    if (draining() && isAlone(ctx.req) && !ctx.headerSent) ctx.set('Connection', 'close')
    if (ctx.state.problem === undefined) return
    requestLog.refused({
      request_id: id,
      method: ctx.method,
      path: ctx.path,
      status: ctx.status,
      problem: ctx.state.problem,
      detail: ctx.state.fault?.detail ?? ctx.state.detail,
      pointer: ctx.state.fault?.pointer,
      cause: ctx.state.cause instanceof Error ? ctx.state.cause.message : undefined,
    })
  }
}

function limitHead(limits: HeadLimits): Middleware {
  return async (ctx, next) => {
    if (!isOverLimit(ctx.req, limits)) return await next()
    ctx.set('Connection', 'close') // as the HTTP parser does in this case
    answerProblem(ctx, 'headers-too-large', headLimitsText(limits))
  }
}

/** Responds to unmatched requests with 404 or 405, and to OPTIONS with the methods of the path. */
function unmatchedRoute(hasOpsPort: boolean): Middleware {
  const nothingHere = hasOpsPort
    ? 'No resource exists at this path.'
    : 'No resource exists at this path; see /docs.'
  return async (ctx, next) => {
    await next()
    if (ctx.status === 404 && ctx.body === undefined && ctx.respond !== false)
      answerUnmatched(ctx, nothingHere)
  }
}

function answerUnmatched(ctx: Context, nothingHere: string): void {
  const matched: { methods: string[] }[] = ctx.matched ?? []
  const methods = new Set(matched.flatMap((layer) => layer.methods))
  if (methods.size === 0) {
    answerProblem(ctx, 'not-found', nothingHere)
    return
  }
  const allow = [...methods, 'OPTIONS'].toSorted().join(', ')
  ctx.set('Allow', allow)
  if (ctx.method === 'OPTIONS') ctx.status = 204
  else answerProblem(ctx, 'method-not-allowed', `This path allows ${allow}.`)
}

function describeProblem(ctx: Context & { params: Record<string, string> }): void {
  const found = Object.entries(PROBLEMS).find(([name]) => name === ctx.params.name)
  if (found === undefined) answerProblem(ctx, 'not-found', 'No problem type has this name.')
  else ctx.body = { type: `/problems/${found[0]}`, title: found[1].title, status: found[1].status }
}

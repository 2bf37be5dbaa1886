import cors from '@koa/cors'
import Router from '@koa/router'
import Koa, { type Context, type Next } from 'koa'
import type { Logger } from '../runtime/log.ts'
import { type Ops, opsRoutes } from '../runtime/ops-routes.ts'
import { answerProblem } from './answer-problem.ts'
import { docsRoutes } from './docs.ts'
import type { createIngest } from './ingest.ts'
import { openApiDocument } from './openapi.ts'
import { PROBLEMS, type ProblemKind } from './problem.ts'
import { requestId } from './request-id.ts'

export interface AppOptions {
  ingest: ReturnType<typeof createIngest>
  ops: Ops
  corsOrigins: '*' | string[]
  logger: Logger
  /** Whether connections should end with their next answer. */
  draining: () => boolean
}

/** All routes of the API; whatever goes wrong is answered as problem+json. */
export function createApp(options: AppOptions): Koa {
  const app = new Koa()
  // Errors of the connection (the client went away while we answered): nobody is left to tell.
  app.on('error', (error: unknown) => options.logger.debug({ err: error }, 'connection error'))
  app.use(outermost(options))
  if (options.corsOrigins === '*' || options.corsOrigins.length > 0) app.use(corsFor(options.corsOrigins))
  app.use(nothingHere)
  const router = new Router()
  router.post('/event', options.ingest.event)
  router.post('/events', options.ingest.events)
  const document = openApiDocument()
  router.get('/openapi.json', (ctx) => {
    ctx.body = document
  })
  router.get('/problems/:name', describeProblem)
  app.use(router.routes())
  app.use(opsRoutes(options.ops).routes())
  app.use(docsRoutes().routes())
  return app
}

/** Gives each request its id, logs what was not answered 2xx, and turns what was thrown into a 500. */
function outermost({ logger, draining }: AppOptions) {
  return async (ctx: Context, next: Next): Promise<void> => {
    const id = requestId(ctx.req.headers['x-request-id'])
    ctx.set('X-Request-Id', id)
    if (draining()) ctx.set('Connection', 'close')
    if (ctx.req.headers.host === undefined && ctx.req.httpVersion === '1.1') {
      answerProblem(ctx, 'bad-request', 'A Host header is required.')
    } else {
      try {
        await next()
      } catch (error) {
        logger.error({ request_id: id, err: error }, 'request failed')
        if (!ctx.headerSent) answerProblem(ctx, 'internal', 'The server failed to handle this request.')
      }
    }
    const { status } = ctx
    if (status < 400) return
    const facts = { request_id: id, method: ctx.method, path: ctx.path, status, problem: ctx.state.problem }
    if (status < 500) logger.info(facts, 'request refused')
    else logger.warn({ ...facts, cause: (ctx.state.cause as Error | undefined)?.message }, 'request failed')
  }
}

/** 404 or 405 for what no route took; OPTIONS is answered from the routes that there are. */
async function nothingHere(ctx: Context, next: Next): Promise<void> {
  await next()
  if (ctx.status !== 404 || ctx.body !== undefined || ctx.respond === false) return
  const matched = (ctx as { matched?: { methods: string[] }[] }).matched ?? []
  const methods = new Set(matched.flatMap((layer) => layer.methods))
  if (methods.size === 0) {
    answerProblem(ctx, 'not-found', 'There is nothing at this path; see /docs.')
    return
  }
  const allow = [...methods, 'OPTIONS'].sort().join(', ')
  ctx.set('Allow', allow)
  if (ctx.method === 'OPTIONS') ctx.status = 204
  else answerProblem(ctx, 'method-not-allowed', `This path takes ${allow}.`)
}

function describeProblem(ctx: Context & { params: Record<string, string> }): void {
  const name = ctx.params.name ?? ''
  if (!Object.hasOwn(PROBLEMS, name)) {
    answerProblem(ctx, 'not-found', 'There is no problem of this name.')
    return
  }
  const { status, title } = PROBLEMS[name as ProblemKind]
  ctx.body = { type: `/problems/${name}`, title, status }
}

function corsFor(origins: '*' | string[]) {
  return cors({
    // Without credentials `*` is enough. Beacons with JSON bodies always ask with credentials, and need the origin.
    origin: origins === '*' ? '*' : (ctx) => (origins.includes(ctx.get('Origin')) ? ctx.get('Origin') : ''),
    credentials: origins !== '*',
    allowMethods: ['GET', 'HEAD', 'POST'],
    exposeHeaders: ['X-Request-Id', 'Retry-After'],
    maxAge: 7_200,
  })
}

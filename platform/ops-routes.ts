import { Router } from '@koa/router'
import type { Registry } from 'prom-client'

/** What a service tells its operators. */
export interface Ops {
  /** Whether it can do its work now; else why not, in one sentence. */
  ready: () => { ok: true } | { ok: false; reason: string }
  /** For people and dashboards: the JSON of /health. */
  health: () => object
  metrics: Registry
}

/** `/livez` (the process answers), `/readyz` (it can work), `/health` (JSON) and `/metrics` (Prometheus text). */
export function opsRoutes(ops: Ops): Router {
  const router = new Router()
  router.get('/livez', (ctx) => {
    ctx.body = { status: 'ok' }
  })
  router.get('/readyz', (ctx) => {
    const ready = ops.ready()
    ctx.status = ready.ok ? 200 : 503
    ctx.body = ready.ok ? { status: 'ok' } : { status: 'unavailable', reason: ready.reason }
  })
  router.get('/health', (ctx) => {
    ctx.body = ops.health()
  })
  router.get('/metrics', async (ctx) => {
    ctx.type = ops.metrics.contentType
    ctx.body = await ops.metrics.metrics()
  })
  return router
}

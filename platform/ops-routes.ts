import { Router } from '@koa/router'
import type { Registry } from 'prom-client'

/** What a service reports to its operators. */
export interface Ops {
  /** Whether the service can work now; if not, why, in one sentence. */
  ready: () => { ok: true } | { ok: false; reason: string }
  /** The JSON of /health, for people and dashboards. */
  health: () => object
  metrics: Registry
}

/** The routes `/livez` (the process is alive) and `/readyz` (it can work), which load balancers ask for. */
export function probeRoutes(ops: Ops): Router {
  const router = new Router()
  router.get('/livez', (ctx) => {
    ctx.body = { status: 'ok' }
  })
  router.get('/readyz', (ctx) => {
    const ready = ops.ready()
    ctx.status = ready.ok ? 200 : 503
    ctx.body = ready.ok ? { status: 'ok' } : { status: 'unavailable', reason: ready.reason }
  })
  return router
}

/** The routes `/health` (JSON) and `/metrics` (Prometheus), for operators. */
export function reportRoutes(ops: Ops): Router {
  const router = new Router()
  router.get('/health', (ctx) => {
    ctx.body = ops.health()
  })
  router.get('/metrics', async (ctx) => {
    ctx.type = ops.metrics.contentType
    ctx.body = await ops.metrics.metrics()
  })
  return router
}

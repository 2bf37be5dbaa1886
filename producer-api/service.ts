import type { Server } from 'node:http'
import { Server as NetServer } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { KeyStore } from '../access/key-store.ts'
import type { Logger } from '../platform/log.ts'
import { serveOps } from '../platform/ops-server.ts'
import { createEntrance } from './front-door/entrance.ts'
import { createApp, documentation } from './http/app.ts'
import { clientAddress } from './http/client-address.ts'
import { foreignOrigins } from './http/cors.ts'
import { pageOrigins } from './http/page-origins.ts'
import { Batcher } from './delivery/batcher.ts'
import type { ApiConfig } from './config.ts'
import { type Publisher, systemClock } from './delivery/publisher.ts'
import { createHttpServer } from './http/server.ts'
import { fastPath } from './http/fast-path.ts'
import { FaultLists } from './intake/fault-lists.ts'
import { Ingest } from './intake/ingest.ts'
import { MemoryBudget } from './memory-budget.ts'
import { createMetrics } from './metrics.ts'
import type { RequestHandler } from './http/pipeline-limit.ts'
import { ApiStats } from './stats.ts'

/** How long idle connections stay open at shutdown: a request that is already on its way is still answered. */
const LATE_REQUESTS_MS = 250
const REFUSED_LOG_INTERVAL_MS = 10_000
/** How long clients may take to read their last responses at shutdown. */
const LAST_RESPONSES_MS = 2_000

/** The wired API, not yet listening. */
export interface ApiService {
  server: Server
  /** I8: answers all accepted requests, then disconnects from Kafka. Resolves when every connection is closed. */
  drain: () => Promise<void>
  /** Starts connecting to Kafka, and whatever else goes on in the background. */
  connect: () => void
}

/** Wires everything between HTTP and the publisher. */
export function createService(
  config: ApiConfig,
  publisher: Publisher & { ready: () => { ok: true } | { ok: false; reason: string } },
  logger: Logger,
  keys?: KeyStore,
): ApiService {
  const stats = new ApiStats()
  const batcher = new Batcher(config.batcher, publisher, systemClock)
  /** Not ready any more, but still serving: a load balancer may not have noticed yet. */
  let leaving = false
  let draining = false

  const ready = (): { ok: true } | { ok: false; reason: string } => {
    if (leaving) return { ok: false, reason: 'shutting down' }
    if (batcher.isFull) return { ok: false, reason: 'the buffer is full' }
    return publisher.ready()
  }
  const health = (): object => ({
    ...status(ready()),
    queue_size: batcher.queuedEvents,
    queue_bytes: batcher.queuedBytes,
    total_received: stats.received,
    total_accepted: stats.accepted,
    total_rejected: Object.fromEntries(stats.rejected),
    in_flight: batcher.waitingEvents,
    user_id_type: config.userIdType,
    access: entrance.health(),
    uptime: (performance.now() - stats.startedAt) / 1_000,
  })
  const entrance = createEntrance(config.frontDoor, {
    keys,
    addressOf: clientAddress(config.client.proxies),
    isForeign: foreignOrigins(config.corsOrigins),
    logger,
  })
  const metrics = createMetrics({
    stats,
    batcher,
    bufferLimitBytes: config.batcher.maxBufferBytes,
    availablePartitions: () => publisher.availablePartitions().length,
    ready: () => ready().ok,
    entrance,
  })
  const { frontDoor } = entrance
  const reading = new MemoryBudget(config.batcher.maxBufferBytes)
  const pending = new MemoryBudget(config.batcher.maxBufferBytes / 2)
  const ingest = new Ingest(config, {
    frontDoor,
    batcher,
    reading,
    faultLists: new FaultLists(pending),
    stats,
  })
  const { headLimits, opsPort } = config
  const pages = pageOrigins(config.corsOrigins, keys && (() => keys.ring))
  const ops = { ready, health, metrics }
  const app = createApp({
    ingest,
    userIdType: config.userIdType,
    ops,
    hasOpsPort: opsPort !== undefined,
    pageOrigins: pages,
    headLimits,
    logger,
    draining: () => draining,
  })
  const koa = app.callback()
  const general: RequestHandler = (request, response) => void koa(request, response)
  const handler = fastPath({ ingest, general, pageOrigins: pages, headLimits, draining: () => draining })
  const { server, endIdle } = createHttpServer(handler, {
    requestTimeoutMs: config.requestTimeoutMs,
    deliveryTimeoutMs: config.batcher.deliveryTimeoutMs,
    keepAliveMs: config.keepAliveMs,
    maxConnections: config.maxConnections,
    headLimits,
    pageOrigins: pages,
    pending,
    onCut: () => (stats.connectionsCut += 1),
    onRefused: countRefusedConnections(stats, config.maxConnections, logger),
  })

  const drain = async (): Promise<void> => {
    leaving = true
    if (config.shutdownDelayMs > 0) await delay(config.shutdownDelayMs)
    draining = true
    // Not the close() of http: it closes idle connections at once, even if their next request is already on its way.
    const closed = new Promise<void>((resolve) => NetServer.prototype.close.call(server, () => resolve()))
    await Promise.all([batcher.drain(), delay(LATE_REQUESTS_MS)])
    await closeConnections(closed, server, endIdle)
    entrance.close()
    closeOps?.()
    await publisher.close()
    logger.info({ accepted: stats.accepted }, 'stopped')
  }
  let closeOps: (() => void) | undefined
  const connect = (): void => {
    entrance.open()
    if (opsPort !== undefined) {
      const address = { host: config.host, port: opsPort, variable: 'OPS_PORT' }
      const onListening = (port: number): void => logger.info({ port }, 'serving health and metrics')
      closeOps = serveOps(ops, address, logger, onListening, documentation(config.userIdType))
    }
    publisher.connect(() => batcher.pump())
  }
  return { server, drain, connect }
}

function status(ready: { ok: true } | { ok: false; reason: string }): object {
  return ready.ok ? { status: 'ok' } : { status: 'unavailable', reason: ready.reason }
}

/** Counts refused connections and logs them at a limited rate, so that a flood of connections does not flood the log. */
function countRefusedConnections(stats: ApiStats, maxConnections: number, logger: Logger): () => void {
  let loggedAt = Number.NEGATIVE_INFINITY
  return () => {
    stats.connectionsRefused += 1
    if (performance.now() - loggedAt < REFUSED_LOG_INTERVAL_MS) return
    loggedAt = performance.now()
    logger.warn(
      { max_connections: maxConnections, refused_total: stats.connectionsRefused },
      'too many connections: new ones are closed; raise MAX_CONNECTIONS or find the clients that hold them',
    )
  }
}

async function closeConnections(closed: Promise<void>, server: Server, endIdle: () => void): Promise<void> {
  // Connections that were busy when the server stopped listening stay open after they become idle.
  const idle = setInterval(endIdle, 20)
  const limit = setTimeout(() => server.closeAllConnections(), LAST_RESPONSES_MS)
  await closed
  clearInterval(idle)
  clearTimeout(limit)
}

import type { Server } from 'node:http'
import { Server as NetServer } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from '../platform/log.ts'
import { createApp } from './http/app.ts'
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

/** So long connections that are idle stay open: a request that was sent before its client knew is answered. */
const LATE_REQUESTS_MS = 250
const REFUSED_LINE_EVERY_MS = 10_000
/** How long clients may take to read their last answers when the server ends. */
const LAST_ANSWERS_MS = 2_000

/** The API, all parts wired; it does not listen yet. */
export interface ApiService {
  server: Server
  /** I8: what was taken is answered first, then Kafka is left. Resolves when nothing is open any more. */
  drain: () => Promise<void>
  /** Begins to reach for Kafka. */
  connect: () => void
}

/** Everything between HTTP and the publisher. */
export function createService(
  config: ApiConfig,
  publisher: Publisher & { ready: () => { ok: true } | { ok: false; reason: string } },
  logger: Logger,
): ApiService {
  const stats = new ApiStats()
  const batcher = new Batcher(config.batcher, publisher, systemClock)
  let draining = false

  const ready = (): { ok: true } | { ok: false; reason: string } => {
    if (draining) return { ok: false, reason: 'shutting down' }
    if (batcher.isFull) return { ok: false, reason: 'the buffer is full' }
    return publisher.ready()
  }
  const health = (): object => ({
    status: ready().ok ? 'ok' : 'unavailable',
    queue_size: batcher.queuedEvents,
    queue_bytes: batcher.queuedBytes,
    total_received: stats.received,
    total_accepted: stats.accepted,
    total_rejected: Object.fromEntries(stats.rejected),
    in_flight: batcher.waitingEvents,
    uptime: (performance.now() - stats.startedAt) / 1_000,
  })
  const metrics = createMetrics({
    stats,
    batcher,
    bufferLimitBytes: config.batcher.maxBufferBytes,
    availablePartitions: () => publisher.availablePartitions().length,
    ready: () => ready().ok,
  })
  const reading = new MemoryBudget(config.batcher.maxBufferBytes)
  const pending = new MemoryBudget(config.batcher.maxBufferBytes / 2)
  const ingest = new Ingest(config, { batcher, reading, faultLists: new FaultLists(pending), stats })
  const { corsOrigins } = config
  const app = createApp({
    ingest,
    ops: { ready, health, metrics },
    corsOrigins,
    logger,
    draining: () => draining,
  })
  const koa = app.callback()
  const general: RequestHandler = (request, response) => void koa(request, response)
  // With CORS each answer has headers of its own.
  const isPlain = corsOrigins !== '*' && corsOrigins.length === 0
  const handler = isPlain ? fastPath({ ingest, general, draining: () => draining }) : general
  const { server, endIdle } = createHttpServer(handler, {
    requestTimeoutMs: config.requestTimeoutMs,
    deliveryTimeoutMs: config.batcher.deliveryTimeoutMs,
    maxConnections: config.maxConnections,
    pending,
    onCut: () => (stats.connectionsCut += 1),
    onRefused: tellRefused(stats, config.maxConnections, logger),
  })

  const drain = async (): Promise<void> => {
    draining = true
    // Not http's own close(): it ends idle connections at once, also those whose next request is already on its way.
    const closed = new Promise<void>((resolve) => NetServer.prototype.close.call(server, () => resolve()))
    await Promise.all([batcher.drain(), delay(LATE_REQUESTS_MS)])
    await lastAnswers(closed, server, endIdle)
    await publisher.close()
    logger.info({ accepted: stats.accepted }, 'stopped')
  }
  return { server, drain, connect: () => publisher.connect(() => batcher.pump()) }
}

/** A line now and then: a flood of connections must not become one of lines. */
function tellRefused(stats: ApiStats, maxConnections: number, logger: Logger): () => void {
  let toldMs = Number.NEGATIVE_INFINITY
  return () => {
    stats.connectionsRefused += 1
    if (performance.now() - toldMs < REFUSED_LINE_EVERY_MS) return
    toldMs = performance.now()
    logger.warn(
      { max_connections: maxConnections, refused_total: stats.connectionsRefused },
      'too many connections: new ones are closed, raise MAX_CONNECTIONS or find who holds them',
    )
  }
}

async function lastAnswers(closed: Promise<void>, server: Server, endIdle: () => void): Promise<void> {
  // Connections that were busy when the server closed stay open when they become idle.
  const idle = setInterval(endIdle, 20)
  const limit = setTimeout(() => server.closeAllConnections(), LAST_ANSWERS_MS)
  await closed
  clearInterval(idle)
  clearTimeout(limit)
}

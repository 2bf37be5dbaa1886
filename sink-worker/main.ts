import type { AddressInfo } from 'node:net'
import Koa from 'koa'
import { createLogger } from '../platform/log.ts'
import { opsRoutes } from '../platform/ops-routes.ts'
import { exitOnUncaughtError, onShutdownSignal, readConfigOrExit } from '../platform/shutdown.ts'
import { readSinkConfig } from './config.ts'
import { KafkaRecordSource } from '../kafka/consumer/kafka-record-source.ts'
import { Database } from '../postgres/database.ts'
import { createSinkMetrics } from './metrics.ts'
import { KafkaTopicInspector } from '../kafka/consumer/kafka-topic-inspector.ts'
import { Worker } from './worker.ts'

const config = readConfigOrExit(() => readSinkConfig(process.env))
const logger = createLogger('sink-worker', config.logLevel)
exitOnUncaughtError(logger)
for (const warning of config.warnings) logger.warn(warning)
const startedMs = Date.now()

const { registry, counters } = createSinkMetrics(() => ({ ...worker.status(), group: source.group }))
const source = new KafkaRecordSource(
  { ...config, connection: config.kafka, topic: config.topic.name },
  logger.child({ component: 'consumer' }),
)
const worker: Worker = new Worker({
  source,
  inspector: new KafkaTopicInspector(config.kafka, config.topic, logger),
  database: new Database(config.database, config.databaseTimeoutMs),
  topic: config.topic.name,
  counters,
  logger,
})

const app = new Koa()
app.use(
  opsRoutes({
    ready: () => {
      const { state, reason } = worker.status()
      return state === 'running' ? { ok: true } : { ok: false, reason: reason ?? state }
    },
    health: () => ({
      ...worker.status(),
      group: source.group,
      total_stored: counters.stored,
      total_duplicates: counters.duplicates,
      total_dead: counters.dead,
      total_expired: counters.expired,
      append_delay_s: counters.appendDelay.read() ?? null,
      last_commit: counters.lastCommitMs === undefined ? null : new Date(counters.lastCommitMs).toISOString(),
      uptime: Math.floor((Date.now() - startedMs) / 1_000),
    }),
    metrics: registry,
  }).routes(),
)
const server = app.listen(config.port, config.host, () => {
  const { port } = server.address() as AddressInfo
  const { host, topic, databaseAddress: database } = config
  logger.info({ host, port, topic: topic.name, database }, 'sink started')
})
server.on('error', (error: NodeJS.ErrnoException) => {
  const taken = `port ${config.port} is in use: set SINK_PORT to a free one`
  logger.fatal(error.code === 'EADDRINUSE' ? taken : error.message)
  process.exit(1)
})

onShutdownSignal(
  async () => {
    server.close()
    server.closeAllConnections()
    await worker.stop(config.shutdownTimeoutMs / 2)
    await source.stop()
  },
  config.shutdownTimeoutMs,
  logger,
)

await worker.prepare()
await source.run(worker)

import { createLogger } from '../platform/log.ts'
import { serveOps } from '../platform/ops-server.ts'
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

const closeServer = serveOps(
  {
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
  },
  { ...config, variable: 'SINK_PORT' },
  logger,
  (port) => {
    const { host, topic, databaseAddress: database } = config
    logger.info({ host, port, topic: topic.name, database }, 'sink started')
  },
)

onShutdownSignal(
  async () => {
    closeServer()
    await worker.stop(config.shutdownTimeoutMs / 2)
    await source.stop()
  },
  config.shutdownTimeoutMs,
  logger,
)

await worker.prepare()
await source.run(worker)

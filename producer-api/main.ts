import { createKafka } from '../runtime/kafka-client.ts'
import { createLogger } from '../runtime/log.ts'
import { onShutdownSignal, readConfigOrExit } from '../runtime/shutdown.ts'
import { createApp } from './app.ts'
import { Batcher } from './batcher.ts'
import { readApiConfig, settingsHelp } from './config.ts'
import { systemClock } from './delivery.ts'
import { createHttpServer } from './http-server.ts'
import { createIngest } from './ingest.ts'
import { createMetrics } from './metrics.ts'
import { KafkaPublisher } from './publisher.ts'
import { ApiStats } from './stats.ts'

/** How long clients may take to read their last answers when the server ends. */
const LAST_ANSWERS_MS = 2_000

if (process.argv.includes('--help')) {
  process.stdout.write(`The HTTP API: takes events and puts them into Kafka.\n\n${settingsHelp()}`)
  process.exit(0)
}

const config = readConfigOrExit(() => readApiConfig(process.env))
const logger = createLogger('producer-api', config.logLevel)
const stats = new ApiStats()
const kafka = createKafka(config.kafka, 'firehose-api', logger)
const publisher = new KafkaPublisher(kafka, config.topic, logger)
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
const app = createApp({
  ingest: createIngest({ ...config, maxBodiesBytes: config.batcher.maxBufferBytes }, batcher, stats),
  ops: { ready, health, metrics },
  corsOrigins: config.corsOrigins,
  logger,
  draining: () => draining,
})
const handle = app.callback()
const { server, endIdle } = createHttpServer((request, response) => void handle(request, response), {
  requestTimeoutMs: config.requestTimeoutMs,
  deliveryTimeoutMs: config.batcher.deliveryTimeoutMs,
  onCut: () => (stats.connectionsCut += 1),
})

server.on('error', (error: NodeJS.ErrnoException) => {
  const where = `${config.host}:${config.port}`
  const why =
    error.code === 'EADDRINUSE'
      ? `${where} is in use by another program: stop it, or set PORT to a free port.`
      : `The API can not listen on ${where}: ${error.message}.`
  process.stderr.write(`${why}\n`)
  process.exit(1)
})
server.listen(config.port, config.host, () => {
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : config.port
  logger.info({ host: config.host, port }, 'listening')
  publisher.connect(() => batcher.pump())
})
onShutdownSignal(drain, config.shutdownTimeoutMs, logger)

/** I8: what was taken is answered first, then Kafka is left. */
async function drain(): Promise<void> {
  draining = true
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  await batcher.drain()
  await lastAnswers(closed)
  await publisher.close()
  logger.info({ accepted: stats.accepted }, 'stopped')
}

async function lastAnswers(closed: Promise<void>): Promise<void> {
  // Connections that were busy when the server closed stay open when they become idle.
  const idle = setInterval(endIdle, 20)
  const limit = setTimeout(() => server.closeAllConnections(), LAST_ANSWERS_MS)
  await closed
  clearInterval(idle)
  clearTimeout(limit)
}

import { formatDuration } from '../platform/duration.ts'
import { createLogger } from '../platform/log.ts'
import { serveOps } from '../platform/ops-server.ts'
import { exitOnBug, exitOnUncaughtError, onShutdownSignal, readConfigOrExit } from '../platform/shutdown.ts'
import { sleep } from '../platform/sleep.ts'
import { readMaintainConfig } from './config.ts'
import { History } from './history.ts'
import { createMaintainMetrics } from './metrics.ts'
import { runOnce } from './run.ts'
import { runEvery } from './service.ts'

/** The service of `firehose maintain --every`. */

/** A statement that does not end in this time is left to PostgreSQL, which rolls it back or finishes it. */
const STOP_MS = 3_000
const SHUTDOWN_TIMEOUT_MS = 2 * STOP_MS

const config = readConfigOrExit(() => readMaintainConfig(process.env))
const logger = createLogger('maintain', config.logLevel)
exitOnUncaughtError(logger)
for (const warning of config.warnings) logger.warn(warning)
const history = new History(Date.now())
const stop = new AbortController()

const closeServer = serveOps(
  {
    ready: () => history.ready(Date.now()),
    health: () => history.status(Date.now()),
    metrics: createMaintainMetrics(history),
  },
  { ...config, variable: 'MAINTAIN_PORT' },
  logger,
  (port) => {
    const { host, databaseAddress: database, everyMs, policy } = config
    logger.info({ host, port, database, every: formatDuration(everyMs), ...policy }, 'maintain started')
  },
)

const { connectionString, policy, kafka } = config
const working = runEvery(
  {
    run: async (report, signal) =>
      await runOnce({ connectionString, policy, kafka, dryRun: false, report, signal }),
    everyMs: config.everyMs,
    history,
    logger,
  },
  stop.signal,
)

onShutdownSignal(
  async () => {
    stop.abort()
    closeServer()
    await Promise.race([working, sleep(STOP_MS)])
    logger.info('stopped')
  },
  SHUTDOWN_TIMEOUT_MS,
  logger,
)

try {
  await working
} catch (error) {
  exitOnBug(error, logger)
}

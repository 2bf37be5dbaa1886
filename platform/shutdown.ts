import type { Logger } from './log.ts'
import { ConfigError } from './env.ts'
import { onEndRequest } from './signals.ts'

/** BSD sysexits.h: something was found in an unconfigured or misconfigured state. */
const EX_CONFIG = 78

/** Reads the configuration; if it is invalid, prints every mistake and exits with 78. */
export function readConfigOrExit<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    process.stderr.write(`The settings are invalid:\n${error.problems.map((p) => `  ${p}\n`).join('')}`)
    process.exit(EX_CONFIG)
  }
}

/**
 * I8: the first shutdown request (signals.ts) drains and exits with 0. A second request, or a drain longer than `limitMs`,
 * exits immediately with 1.
 */
export function onShutdownSignal(drain: () => Promise<void>, limitMs: number, logger: Logger): void {
  const drainAndExit = (cause: string): void => {
    logger.info({ cause }, 'shutting down; another signal exits immediately')
    setTimeout(() => {
      logger.error({ limit_ms: limitMs }, 'the drain took too long; exiting immediately')
      process.exit(1)
    }, limitMs).unref()
    drain().then(
      () => process.exit(0),
      (error: unknown) => {
        logger.error({ err: error }, 'the drain failed')
        process.exit(1)
      },
    )
  }
  onEndRequest({
    first: drainAndExit,
    again: (cause) => {
      logger.warn({ cause }, 'another signal received; exiting immediately')
      process.exit(1)
    },
  })
}

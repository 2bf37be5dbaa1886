import type { Logger } from './log.ts'
import { ConfigError } from './env.ts'
import { onEndRequest } from './signals.ts'

/** BSD sysexits.h: something was found in an unconfigured or misconfigured state. */
const EX_CONFIG = 78

/** Reads the configuration, or prints every mistake in words and exits 78 before anything is opened. */
export function readConfigOrExit<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    process.stderr.write(`The settings cannot be used:\n${error.problems.map((p) => `  ${p}\n`).join('')}`)
    process.exit(EX_CONFIG)
  }
}

/**
 * I8: the first request to end (signals.ts) drains and exits 0; a further one, or a drain past `limitMs`, ends at once
 * with 1.
 */
export function onShutdownSignal(drain: () => Promise<void>, limitMs: number, logger: Logger): void {
  const drainAndExit = (cause: string): void => {
    logger.info({ cause }, 'shutting down; a further signal ends at once')
    setTimeout(() => {
      logger.error({ limit_ms: limitMs }, 'the drain took too long: ending at once')
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
      logger.warn({ cause }, 'a further signal: ending at once')
      process.exit(1)
    },
  })
}

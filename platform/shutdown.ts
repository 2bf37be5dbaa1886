import type { Logger } from './log.ts'
import { ConfigError } from './env.ts'
import { onEndRequest } from './signals.ts'

/** BSD sysexits.h: something was found in an unconfigured or misconfigured state. */
export const EX_CONFIG = 78

/** BSD sysexits.h: an internal software error. */
const EX_SOFTWARE = 70

/**
 * Ends the process because of a mistake in it, so that a supervisor starts it again: nothing that happened before is
 * lost, and trying again here would hide the mistake behind what looks like an outage.
 */
export function exitOnBug(error: unknown, logger: Logger): never {
  const facts = factsOf(error)
  const sentence = 'a mistake in Firehose, please report it; exiting'
  logger.fatal({ error: facts }, sentence)
  if (!logger.isLevelEnabled('fatal')) process.stderr.write(`${sentence}: ${facts.name}: ${facts.message}\n`)
  process.exit(EX_SOFTWARE)
}

/** Ends the process in the same way when nothing catches an error. */
export function exitOnUncaughtError(logger: Logger): void {
  process.on('uncaughtException', (error) => exitOnBug(error, logger))
}

/** Name, message and stack of an error, and its cause. A SyntaxError's message is left out: it quotes the parsed text. */
function factsOf(error: unknown): { name: string; message: string; stack: string[]; cause?: object } {
  const { name = 'Error', message = String(error), stack = '', cause } = error instanceof Error ? error : {}
  return {
    name,
    message: error instanceof SyntaxError ? 'not logged' : message,
    stack: stack
      .replace(message, '')
      .split('\n')
      .filter((line) => /^ {4}at /.test(line)),
    ...(cause === undefined ? {} : { cause: factsOf(cause) }),
  }
}

/** Reads the configuration; if it is invalid, prints every mistake and exits with 78. */
export function readConfigOrExit<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    process.stderr.write(error.report)
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

import pino, { type Logger } from 'pino'

export type { Logger } from 'pino'

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const

/** The most that is buffered if nothing reads the log; further lines are dropped (I7). */
const MAX_BUFFERED_BYTES = 1024 * 1024

/**
 * Used instead of pino's own destination, which at exit retries forever if it cannot write. process.stdout gives up: a
 * closed terminal, a reader that is gone or a full disk must neither end a service nor keep it from exiting.
 */
const standardOutput = {
  write(line: string): void {
    if (process.stdout.writableLength < MAX_BUFFERED_BYTES) process.stdout.write(line)
  },
}
let handlesErrors = false

/** A logger that writes JSON lines to standard output, with timestamps in UTC (RFC 3339). Never log event metadata. */
export function createLogger(service: string, level: string): Logger {
  if (!handlesErrors) process.stdout.on('error', () => {})
  handlesErrors = true
  const options = {
    level,
    base: { service },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  }
  return pino(options, standardOutput)
}

import pino, { type Logger } from 'pino'

export type { Logger } from 'pino'

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const

/** What may wait for a reader of the log that stands still; further lines are dropped (I7). */
const MAX_WAITING_BYTES = 1024 * 1024

/**
 * Not pino's own output: when its process exits, that tries for ever to write what cannot be written. Standard output
 * drops it: a terminal that was closed, a reader that is gone or a full disk must neither end a service nor keep it.
 */
const standardOutput = {
  write(line: string): void {
    if (process.stdout.writableLength < MAX_WAITING_BYTES) process.stdout.write(line)
  },
}
let isListening = false

/** JSON lines on stdout, times in UTC (RFC 3339). Metadata of events is never logged. */
export function createLogger(service: string, level: string): Logger {
  if (!isListening) process.stdout.on('error', () => {})
  isListening = true
  const options = {
    level,
    base: { service },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  }
  return pino(options, standardOutput)
}

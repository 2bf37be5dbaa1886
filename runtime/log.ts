import { isatty } from 'node:tty'
import pino, { type Logger } from 'pino'

export type { Logger } from 'pino'

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const

/** JSON lines on stdout, times in UTC (RFC 3339). Metadata of events is never logged. */
export function createLogger(service: string, level: string): Logger {
  const out = pino.destination(1)
  out.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EIO') throw error
    // The terminal was closed: that ends a service in order (signals.ts), not by a line that cannot be written. pino
    // does the same for a pipe that nobody reads.
    Object.assign(out, { write: () => true, flushSync: () => {}, end: () => {}, destroy: () => {} })
  })
  const flushSync = out.flushSync.bind(out)
  const wasTerminal = isatty(1)
  // What a process has not written when it exits, pino tries to write for ever: not to a terminal that is none any more.
  out.flushSync = () => {
    if (!wasTerminal || isatty(1)) flushSync()
  }
  const options = {
    level,
    base: { service },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  }
  return pino(options, out)
}

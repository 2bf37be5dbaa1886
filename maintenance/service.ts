import type { Logger } from '../platform/log.ts'
import { backoffMs } from '../platform/backoff.ts'
import { sleep } from '../platform/sleep.ts'
import { describeRunError, isBug } from './failure.ts'
import type { History } from './history.ts'
import type { Action } from './maintenance.ts'
import type { RunResult } from './run.ts'

/** After a run that failed: PostgreSQL may be down, or not migrated yet. */
const AFTER_FAILURE = { firstMs: 1_000, lastMs: 60_000 }
/** After a run that left something by which sinks may be refused. */
const AFTER_REFUSING_MS = 10_000
/** After another process was at it. */
const AFTER_BUSY_MS = 60_000

export interface ServiceOptions {
  /** One run. */
  run: (report: (action: Action) => void, signal: AbortSignal) => Promise<RunResult>
  everyMs: number
  history: History
  logger: Logger
}

/**
 * Runs maintenance now, and again and again, until the signal aborts.
 *
 * @throws an error that is a mistake in Firehose
 */
export async function runEvery(
  { run, everyMs, history, logger }: ServiceOptions,
  signal: AbortSignal,
): Promise<void> {
  const report = (action: Action): void => {
    history.did(action)
    logger[action.kind === 'problem' ? 'warn' : 'info']({ step: action.step, kind: action.kind }, action.text)
  }
  while (!signal.aborted) {
    history.began(Date.now())
    try {
      const result = await run(report, signal)
      if (history.failures > 0) logger.info('PostgreSQL can be maintained again')
      history.ended(result, Date.now())
      if (result.outcome === 'busy') logger.info('another process maintains this database')
    } catch (error) {
      if (signal.aborted) return
      if (isBug(error)) throw error
      const reason = describeRunError(error)
      if (history.failed(reason)) logger.warn({ reason }, 'maintenance failed; it is tried again')
    }
    const waitMs = pauseMs(history, everyMs)
    history.waits(Date.now() + waitMs)
    await sleep(waitMs, signal)
  }
}

/** How long to wait until the next run. Pure, but for the jitter. */
export function pauseMs({ failures, last }: Pick<History, 'failures' | 'last'>, everyMs: number): number {
  if (failures > 0) return Math.min(everyMs, backoffMs(AFTER_FAILURE, failures - 1))
  if (last?.refusesSinks === true) return Math.min(everyMs, AFTER_REFUSING_MS)
  return last?.outcome === 'busy' ? Math.min(everyMs, AFTER_BUSY_MS) : everyMs
}

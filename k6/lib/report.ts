// Pure: the report of a script to `npx firehose k6`, which is read by tools/k6/k6-output.ts.

import type { Run } from './event.ts'

/** The report of a script. */
export interface Report {
  run: Run
  /** Events per request. */
  batch: number
  /** Completed requests: in each part, `requests` with consecutive events from number `first`. */
  parts: { first: number; requests: number }[]
  /** Number of requests without a 202; each has been reported on its own line (see `notAcknowledged`). */
  failed: number
  /** Iterations not sent because no VU was free. */
  dropped: number
  /** Descriptions of the thresholds that were not met. */
  broken: string[]
}

/** Prefix of the line with the report as JSON. */
export const REPORT_MARK = 'firehose-k6-report '

/** The line for a request that was not answered 202: `count` events from number `n`, the first with id `id`. */
export function notAcknowledged(n: number, count: number, id: string, status: number, why: string): string {
  return `not-acknowledged n=${n} count=${count} id=${id} status=${status} ${why}`
}

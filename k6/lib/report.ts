// Pure: what a script tells `npm run k6`, written here and read by tools/k6/k6-output.ts.

import type { Run } from './event.ts'

/** What a script says at its end. */
export interface Report {
  script: string
  run: Run
  /** Events of a request. */
  batch: number
  /** What k6 did to the end: `requests` of them, whose events follow each other from number `first`. */
  parts: { first: number; requests: number }[]
  /** Requests without a 202; each has a line of its own before (see `notAcknowledged`). */
  failed: number
  /** Iterations that k6 had no VU for, and did not send. */
  dropped: number
  /** What was not as the script demands, in words. */
  broken: string[]
}

/** Begins the line that holds the report as JSON. */
export const REPORT_MARK = 'firehose-k6-report '

/** The line of a request that was not answered 202: `count` events from number `n`, the first of which is `id`. */
export function notAcknowledged(n: number, count: number, id: string, status: number, why: string): string {
  return `not-acknowledged n=${n} count=${count} id=${id} status=${status} ${why}`
}

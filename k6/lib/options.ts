import type { Options, Scenario } from 'k6/options'

/** The API itself answers 503 after 10 s (DELIVERY_TIMEOUT_MS). */
export const TIMEOUT_S = 15

/** Longer than a request may take, so that k6 cuts none short: each is answered, or reported. */
export const GRACEFUL_STOP = `${TIMEOUT_S + 5}s`

/**
 * What all scripts have in common; it keeps k6 cheap, for on one machine it takes its time from what it measures: one
 * tag instead of ten, no cookie jar for each iteration, only those figures that are printed.
 */
export const common: Options = {
  systemTags: ['scenario'],
  noCookiesReset: true,
  maxRedirects: 0,
  summaryTrendStats: ['med', 'p(90)', 'p(99)', 'max'],
}

/**
 * What a script demands, of one scenario or of all: every request answered 202, sent when it was due, and 99 of 100
 * within `p99Ms`.
 */
export function demands(p99Ms: number, scenario?: string): { [metric: string]: string[] } {
  const of = scenario === undefined ? '' : `{scenario:${scenario}}`
  return {
    [`http_req_failed${of}`]: ['rate==0'],
    [`dropped_iterations${of}`]: ['count==0'],
    [`http_req_duration${of}`]: [`p(99)<${p99Ms}`],
  }
}

/** Requests at a steady rate, whatever the API does (an open loop). */
export function steadily(rate: number, seconds: number, vus: number): Scenario {
  return {
    executor: 'constant-arrival-rate',
    rate,
    timeUnit: '1s',
    duration: `${seconds}s`,
    // All from the start: k6 drops the iteration for which it has to make a VU.
    preAllocatedVUs: vus,
    maxVUs: vus,
    gracefulStop: GRACEFUL_STOP,
  }
}

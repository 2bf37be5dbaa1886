import type { Options, Scenario } from 'k6/options'

/** Request timeout. The API itself answers 503 after 10 s (DELIVERY_TIMEOUT_MS). */
export const TIMEOUT_S = 15

/** Longer than TIMEOUT_S, so that k6 interrupts no request: each is answered or reported. */
export const GRACEFUL_STOP = `${TIMEOUT_S + 5}s`

/**
 * Options of all scripts. They keep k6 cheap, because on one machine it competes with what it measures: one tag instead
 * of ten, no cookie jar per iteration, and only the statistics that are printed.
 */
export const common: Options = {
  systemTags: ['scenario'],
  noCookiesReset: true,
  maxRedirects: 0,
  summaryTrendStats: ['med', 'p(90)', 'p(99)', 'max'],
}

/**
 * The thresholds of a script, for one scenario or all: every request is answered 202 and sent when it is due, and the
 * p99 latency is below `p99Ms`.
 */
export function demands(p99Ms: number, scenario?: string): { [metric: string]: string[] } {
  const of = scenario === undefined ? '' : `{scenario:${scenario}}`
  return {
    [`http_req_failed${of}`]: ['rate==0'],
    [`dropped_iterations${of}`]: ['count==0'],
    [`http_req_duration${of}`]: [`p(99)<${p99Ms}`],
  }
}

/** Requests at a constant rate, regardless of the responses (an open loop). */
export function steadily(rate: number, seconds: number, vus: number): Scenario {
  return {
    executor: 'constant-arrival-rate',
    rate,
    timeUnit: '1s',
    duration: `${seconds}s`,
    // All from the start: k6 drops an iteration for which it has to create a VU.
    preAllocatedVUs: vus,
    maxVUs: vus,
    gracefulStop: GRACEFUL_STOP,
  }
}

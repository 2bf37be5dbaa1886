// One event per request at a constant rate (an open loop): POST /event.
//   k6 run k6/event.ts, or with settings: k6 run -e RATE=1000 -e DURATION=30s k6/event.ts
import http from 'k6/http'
import { sleep } from 'k6'
import type { Options } from 'k6/options'
import type { Run } from './lib/event.ts'
import { common, demands, steadily } from './lib/options.ts'
import { currentScenario, postEvent } from './lib/send.ts'
import { apiUrl, count, seconds } from './lib/settings.ts'
import { grouped, summary, type SummaryData } from './lib/summary.ts'

export { setup } from './lib/send.ts'

const rate = count('RATE', 5000)
const duration = seconds('DURATION', '60s')
const vus = count('VUS', 1000)
const p99Ms = count('P99_MS', 500)
const CONNECT_S = 5

export const options: Options = {
  ...common,
  scenarios: {
    // Each VU opens its connection before the load, because opening all of them at once would make k6 late.
    connect: {
      executor: 'per-vu-iterations',
      vus,
      iterations: 1,
      maxDuration: `${CONNECT_S}s`,
      gracefulStop: '0s',
      exec: 'connect',
    },
    events: { ...steadily(rate, duration, vus), startTime: `${CONNECT_S}s` },
  },
  thresholds: {
    ...demands(p99Ms, 'events'),
    'iterations{scenario:events}': ['count>=0'], // always true: k6 reports the figure only if there is a threshold
  },
}

export function connect(): void {
  sleep(Math.random() * (CONNECT_S - 2))
  http.get(`${apiUrl}/livez`, { responseCallback: http.expectedStatuses(200) })
}

export default function (run: Run): void {
  postEvent(run, currentScenario().iterationInTest)
}

export function handleSummary(data: SummaryData) {
  return summary(data, {
    script: 'event',
    rate,
    seconds: duration,
    startS: CONNECT_S,
    parts: [{ metric: 'iterations{scenario:events}', first: 0 }],
    duration: 'http_req_duration{scenario:events}',
    title: `${grouped(rate)} requests/s for ${duration} s, p99 below ${p99Ms} ms`,
  })
}

// One event a request at a steady rate (an open loop): POST /event.
//   k6 run k6/event.ts, or with settings: k6 run -e RATE=1000 -e DURATION=30s k6/event.ts
import type { Options } from 'k6/options'
import type { Run } from './lib/event.ts'
import { common, demands, GRACEFUL_STOP } from './lib/options.ts'
import { currentScenario, postEvent } from './lib/send.ts'
import { count, seconds } from './lib/settings.ts'
import { grouped, summary, type SummaryData } from './lib/summary.ts'

export { setup } from './lib/send.ts'

const rate = count('RATE', 5000)
const duration = seconds('DURATION', '60s')
const vus = count('VUS', 1000)
const p99Ms = count('P99_MS', 500)

export const options: Options = {
  ...common,
  scenarios: {
    events: {
      executor: 'constant-arrival-rate',
      rate,
      timeUnit: '1s',
      duration: `${duration}s`,
      // All from the start: k6 drops the iteration for which it has to make a VU.
      preAllocatedVUs: vus,
      maxVUs: vus,
      gracefulStop: GRACEFUL_STOP,
    },
  },
  thresholds: demands(p99Ms),
}

export default function (run: Run): void {
  postEvent(run, currentScenario().iterationInTest)
}

export function handleSummary(data: SummaryData) {
  return summary(data, {
    script: 'event',
    rate,
    seconds: duration,
    title: `${grouped(rate)} requests/s for ${duration} s, p99 below ${p99Ms} ms`,
  })
}

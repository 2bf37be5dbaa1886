// Many concurrent clients, each sending its next event when the previous one is answered (a closed loop): POST /event.
//   k6 run k6/clients.ts, or with settings: k6 run -e VUS=200 k6/clients.ts
import type { Options } from 'k6/options'
import type { Run } from './lib/event.ts'
import { common, demands, GRACEFUL_STOP } from './lib/options.ts'
import { currentScenario, postEvent } from './lib/send.ts'
import { count, seconds } from './lib/settings.ts'
import { grouped, summary, type SummaryData } from './lib/summary.ts'

export { setup } from './lib/send.ts'

const duration = seconds('DURATION', '30s')
const vus = count('VUS', 1000)
// In a closed loop latency depends on throughput: at 2,000 requests/s, 1,000 clients each wait half a second.
const p99Ms = count('P99_MS', 2000)

export const options: Options = {
  ...common,
  scenarios: {
    clients: { executor: 'constant-vus', vus, duration: `${duration}s`, gracefulStop: GRACEFUL_STOP },
  },
  thresholds: demands(p99Ms),
}

export default function (run: Run): void {
  postEvent(run, currentScenario().iterationInTest)
}

export function handleSummary(data: SummaryData) {
  return summary(data, {
    script: 'clients',
    title: `${grouped(vus)} concurrent clients for ${duration} s, p99 below ${p99Ms} ms`,
  })
}

// Many events per request at a constant rate (an open loop): POST /events, as NDJSON.
//   k6 run k6/batch.ts, or with settings: k6 run -e RATE=20 -e BATCH=500 k6/batch.ts
import type { Options } from 'k6/options'
import type { Run } from './lib/event.ts'
import { common, demands, steadily } from './lib/options.ts'
import { currentScenario, postEvents } from './lib/send.ts'
import { count, seconds } from './lib/settings.ts'
import { grouped, summary, type SummaryData } from './lib/summary.ts'

export { setup } from './lib/send.ts'

const batch = count('BATCH', 100)
const rate = count('RATE', 50)
const duration = seconds('DURATION', '60s')
const vus = count('VUS', 200)
const p99Ms = count('P99_MS', 1000)

export const options: Options = {
  ...common,
  scenarios: {
    batches: steadily(rate, duration, vus),
  },
  thresholds: demands(p99Ms),
}

export default function (run: Run): void {
  postEvents(run, currentScenario().iterationInTest * batch, batch)
}

export function handleSummary(data: SummaryData) {
  return summary(data, {
    script: 'batch',
    rate,
    seconds: duration,
    title: `${grouped(rate)} requests/s of ${batch} events for ${duration} s, p99 below ${p99Ms} ms`,
    batch,
  })
}

// Finds the limit, with a higher rate in each stage and one event per request: POST /event. A stage holds if every
// request is answered 202 and sent when it is due, and the p99 latency stays below the bound.
//   k6 run k6/ramp.ts, or with settings: k6 run -e RATE=4000 -e STEP=500 -e DURATION=20s k6/ramp.ts
import type { Options, Scenario } from 'k6/options'
import type { Run } from './lib/event.ts'
import { common } from './lib/options.ts'
import { currentScenario, giveUpAfter, postEvent } from './lib/send.ts'
import { count, seconds } from './lib/settings.ts'
import { figure, forgotten, grouped, ms, summary, type SummaryData } from './lib/summary.ts'

export { setup } from './lib/send.ts'

const highest = count('RATE', 8000)
const step = count('STEP', 1000)
const duration = seconds('DURATION', '10s')
const vus = count('VUS', 1000)
const p99Ms = count('P99_MS', 500)

const RAMP_S = 2
const TIMEOUT_S = 4
giveUpAfter(TIMEOUT_S)
/** A pause, so that a stage's requests are finished and its VUs free before the next one starts. */
const REST_S = TIMEOUT_S + 1

interface Stage {
  name: string
  rate: number
  /** The number of its first event. */
  first: number
}

// One scenario per stage, because k6 counts dropped iterations by scenario.
const stages: Stage[] = []
let planned = 0
for (let rate = step; rate <= highest; rate += step) {
  stages.push({ name: `stage_${rate}`, rate, first: planned })
  planned += rate * (duration + RAMP_S) + 1000 // more than k6 can start in it
}
const firsts = new Map(stages.map(({ name, first }) => [name, first]))

export const options: Options = {
  ...common,
  scenarios: Object.fromEntries(stages.map(({ name, rate }, index) => [name, scenarioOf(rate, index)])),
  // Always true: k6 reports the figures of a scenario only if it has a threshold.
  thresholds: Object.fromEntries(
    stages.flatMap(({ name }) => [
      [`iterations{scenario:${name}}`, ['count>=0']],
      [`dropped_iterations{scenario:${name}}`, ['count>=0']],
      [`http_req_failed{scenario:${name}}`, ['rate>=0']],
      [`http_req_duration{scenario:${name}}`, ['max>=0']],
    ]),
  ),
}

function scenarioOf(rate: number, index: number): Scenario {
  return {
    executor: 'ramping-arrival-rate',
    startTime: `${index * (RAMP_S + duration + REST_S)}s`,
    startRate: rate - step,
    timeUnit: '1s',
    stages: [
      { target: rate, duration: `${RAMP_S}s` },
      { target: rate, duration: `${duration}s` },
    ],
    preAllocatedVUs: vus,
    maxVUs: vus,
    gracefulStop: `${REST_S}s`,
  }
}

export default function (run: Run): void {
  const { name, iterationInTest } = currentScenario()
  postEvent(run, (firsts.get(name) ?? 0) + iterationInTest)
}

export function handleSummary(data: SummaryData) {
  const results = stages.map((stage) => resultOf(data, stage))
  const begun = results.filter(({ sent }) => sent > 0)
  const failed = begun.findIndex(({ held }) => !held)
  const limit = begun.slice(0, failed === -1 ? undefined : failed).at(-1)
  const verdict =
    limit === undefined
      ? 'not even the first stage held'
      : failed === -1
        ? `all stages held: the limit is above ${grouped(limit.rate)}/s`
        : `the limit is about ${grouped(limit.rate)}/s: the highest stage that held`
  return summary(data, {
    script: 'ramp',
    title: `stages of ${duration} s up to ${grouped(highest)} requests/s, p99 below ${p99Ms} ms`,
    parts: stages.map(({ name, first }) => ({ metric: `iterations{scenario:${name}}`, first })),
    more: ['', ...begun.map(({ line }) => line), '', `  ${verdict}`],
    broken: limit === undefined ? [verdict] : [],
  })
}

function resultOf(data: SummaryData, { name, rate }: Stage) {
  const sent = figure(data, `iterations{scenario:${name}}`, 'count')
  const dropped = figure(data, `dropped_iterations{scenario:${name}}`, 'count')
  const failed = figure(data, `http_req_failed{scenario:${name}}`, 'passes')
  const p99 = figure(data, `http_req_duration{scenario:${name}}`, 'p(99)')
  const due = ((rate - step + rate) / 2) * RAMP_S + rate * duration
  const notSent = dropped + forgotten(due, sent, dropped)
  const held = sent > 0 && notSent === 0 && failed === 0 && p99 < p99Ms
  const line =
    `  ${`${grouped(rate)}/s`.padStart(9)}  ${held ? 'held    ' : 'NOT HELD'}  sent ${grouped(sent).padStart(8)}` +
    `  failed ${grouped(failed).padStart(6)}  not sent in time ${grouped(notSent).padStart(7)}` +
    `  p99 ${ms(p99).padStart(9)}`
  return { rate, sent, held, line }
}

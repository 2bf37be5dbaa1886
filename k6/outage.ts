// A constant load while you stop the database and start it again (the script prints how): POST /event must not be
// affected. The phases before, during and after the outage are distinguished by the sink's state.
//   k6 run k6/outage.ts, or with settings: k6 run -e RATE=2000 -e DURATION=5m -e SINK_URL=http://127.0.0.1:8001 ...
import exec from 'k6/execution'
import type { Options } from 'k6/options'
import type { Run } from './lib/event.ts'
import { common, demands, steadily } from './lib/options.ts'
import { checkSink, PHASES, phaseNow, record, watch as watchServices } from './lib/phases.ts'
import { currentScenario, postEvent, setup as newRun } from './lib/send.ts'
import { count, seconds } from './lib/settings.ts'
import { figure, grouped, ms, summary, type SummaryData } from './lib/summary.ts'

const rate = count('RATE', 1000)
const duration = seconds('DURATION', '120s')
// Fewer than in other scripts, because each VU polls the sink's state.
const vus = count('VUS', 500)
const p99Ms = count('P99_MS', 500)

const INSTRUCTIONS = `The load runs for ${duration} s. Stop the database after a while, and start it again before the end:
  docker compose stop postgres          docker compose start postgres
or, with npm start, freeze it:
  p=$(head -n 1 .firehose/run/postgres.pid); kill -STOP $p $(pgrep -P $p)
  p=$(head -n 1 .firehose/run/postgres.pid); kill -CONT $p $(pgrep -P $p)
`

const { http_req_failed, dropped_iterations } = demands(p99Ms)

export const options: Options = {
  ...common,
  scenarios: {
    load: steadily(rate, duration, vus),
    watch: { executor: 'constant-vus', vus: 1, duration: `${duration}s`, gracefulStop: '10s', exec: 'watch' },
  },
  thresholds: {
    http_req_failed: http_req_failed ?? [],
    dropped_iterations: dropped_iterations ?? [],
    'iterations{scenario:load}': ['count>=0'], // always true: k6 counts a scenario only if it has a threshold
    ...Object.fromEntries(PHASES.map((phase) => [`${phase}_ms`, [`p(99)<${p99Ms}`]])),
  },
}

export function setup(): Run {
  checkSink()
  for (const line of INSTRUCTIONS.trimEnd().split('\n')) console.info(line)
  return newRun()
}

export default function (run: Run): void {
  const phase = phaseNow()
  record(phase, postEvent(run, currentScenario().iterationInTest))
}

export function watch(): void {
  watchServices(exec.instance.currentTestRunDuration / 1000)
}

export function handleSummary(data: SummaryData) {
  const seen = figure(data, 'sink_paused', 'max') > 0
  return summary(data, {
    script: 'outage',
    rate,
    seconds: duration,
    title: `${grouped(rate)} requests/s for ${duration} s, p99 below ${p99Ms} ms in each phase`,
    parts: [{ metric: 'iterations{scenario:load}', first: 0 }],
    duration: 'answer_ms',
    more: [
      '',
      ...PHASES.map((phase) => phaseLine(data, phase)),
      '',
      seen ? outageLine(data) : '  The sink was never paused: no outage was observed.',
      `  not yet stored, at most ${grouped(figure(data, 'backlog', 'max'))}; at the end ${grouped(figure(data, 'backlog', 'value'))}`,
      `  lag reported by the sink, at most ${grouped(figure(data, 'sink_lag', 'max'))}`,
    ],
  })
}

function phaseLine(data: SummaryData, phase: string): string {
  const good = figure(data, `${phase}_acknowledged`, 'passes')
  const bad = figure(data, `${phase}_acknowledged`, 'fails')
  const trend = (name: string) => (good > 0 ? ms(figure(data, `${phase}_ms`, name)) : '-').padStart(8)
  return (
    `  ${phase.padEnd(8)}acknowledged ${grouped(good).padStart(9)} of ${grouped(good + bad).padEnd(9)}` +
    `  p50 ${trend('med')}  p99 ${trend('p(99)')}  max ${trend('max')}`
  )
}

function outageLine(data: SummaryData): string {
  const began = figure(data, 'paused_at_s', 'min').toFixed(1)
  const isOver = figure(data, 'sink_paused', 'value') === 0
  const end = isOver ? `to ${figure(data, 'running_at_s', 'max').toFixed(1)} s` : 'to the end'
  return `  The sink could not store from ${began} s ${end}.`
}

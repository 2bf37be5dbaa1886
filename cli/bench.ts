import { execFileSync } from 'node:child_process'
import { loadavg } from 'node:os'
import { benchApi } from '../tools/bench/api.ts'
import { benchBatch } from '../tools/bench/batch.ts'
import type { Bench } from '../tools/bench/bench.ts'
import { benchBroker } from '../tools/bench/broker.ts'
import { writeCharts } from '../tools/bench/charts.ts'
import { benchGrowth, type Growth, GROWTH_PARTS, growthTables, staysFlat } from '../tools/bench/growth.ts'
import { benchLatency } from '../tools/bench/latency.ts'
import { describeMachine } from '../tools/bench/machine.ts'
import {
  drainTable,
  latencyTable,
  readResults,
  type Results,
  measurementTable,
  writeResults,
} from '../tools/bench/report.ts'
import { reaches } from '../tools/bench/measurement.ts'
import { benchSink } from '../tools/bench/sink.ts'
import { benchSweep } from '../tools/bench/sweep.ts'
import { UserError } from '../embedded/user-error.ts'
import { parseArgsOrExit } from './args.ts'
import { endOnSignal } from './stop-on-signal.ts'

const HELP = `Measures what Firehose costs, as ratios to baselines that take turns with it in the same run.

npm run bench -- api | batch | sink | broker | e2e | all | sweep | growth | plot [options]
  api      POST /event, whole and without Kafka, against bare node:http
  batch    POST /events, against JSON.parse of the same lines
  sink     draining a backlog, against psql \\copy; and what exactly-once costs
  broker   Kafka's CPU at 5,000 events/s, against ProducerPerformance
  e2e      open loop at 1,000, 5,000 and 10,000 requests/s: the 202, the row, what holds
  all      these
  sweep    draining one backlog with FETCH_MAX_BYTES from 64 KiB to 16 MiB
  growth   what stays flat; not part of \`all\`, for it takes half an hour and 5 GB of disk: draining into a table of
           many rows, load beside many idle connections, memory over time
  plot     draws docs/bench-latency.svg (of e2e) and docs/bench-drain.svg (of sweep) from the results
  --pairs N        times that ours and the baseline take turns (8; growth 3, sweep 2)
  --seconds N      length of a measured span (5; e2e and growth 30)
  --rows N         of the backlog (500000)
  --rates LIST     of e2e, comma-separated (1000,5000,10000)
  --parts LIST     of growth, comma-separated (table,idle,memory)
  --table-rows N   in the table that growth drains into (10000000)
  --minutes N      for which growth watches memory (10)
  --name TEXT      the results are in tools/bench/results/TEXT.json; those of one commit come together there (latest)
  --help

Needs Linux with taskset, two cores, psql, Java 17 and Maven. Close what else runs: the load average is printed.
Exit code 0: every ratio is within its bound. 1: one is not, or the benchmark could not run.
`

const { values, positionals } = parseArgsOrExit({
  allowPositionals: true,
  options: {
    pairs: { type: 'string' },
    seconds: { type: 'string' },
    rows: { type: 'string', default: '500000' },
    rates: { type: 'string', default: '1000,5000,10000' },
    parts: { type: 'string', default: GROWTH_PARTS.join(',') },
    'table-rows': { type: 'string', default: '10000000' },
    minutes: { type: 'string', default: '10' },
    name: { type: 'string', default: 'latest' },
    help: { type: 'boolean', default: false },
  },
})

const say = (line: string): void => {
  process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${line}\n`)
}
/** The options, and for what is left out the part's own values. */
const bench = (pairs: number, seconds: number): Bench => ({
  rounds: numberOf('pairs', pairs),
  seconds: numberOf('seconds', seconds),
  rows: numberOf('rows'),
  say,
})
const ROADS = { api: benchApi, batch: benchBatch, sink: benchSink, broker: benchBroker }
const PARTS = [...Object.keys(ROADS), 'e2e', 'all', 'sweep', 'growth', 'plot']
const what = positionals[0] ?? ''

if (values.help || positionals.length !== 1 || !PARTS.includes(what)) {
  ;(values.help ? process.stdout : process.stderr).write(HELP)
  process.exitCode = values.help ? 0 : 64
} else {
  endOnSignal()
  try {
    process.exitCode = what === 'plot' ? plot() : await main()
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exitCode = 1
  }
}

function plot(): number {
  for (const file of writeCharts(readResults(values.name))) process.stdout.write(`${file}\n`)
  return 0
}

async function main(): Promise<number> {
  const results: Results = {
    startedAt: new Date().toISOString(),
    commit: commit(),
    machine: describeMachine(),
    measurements: [],
    latencies: [],
    drains: [],
    growth: {},
  }
  say(`${results.machine.cores} cores, ${results.machine.cpu}; load average ${results.machine.load}`)
  for (const [name, run] of Object.entries(ROADS)) {
    if (what === 'all' || what === name) results.measurements.push(...(await run(bench(8, 5))))
  }
  if (what === 'all' || what === 'e2e')
    results.latencies = await benchLatency(values.rates.split(',').map(Number), bench(8, 30))
  if (what === 'sweep') results.drains = await benchSweep(bench(2, 5))
  if (what === 'growth') results.growth = await growth()
  return report(results)
}

async function growth(): Promise<Growth> {
  const asked = values.parts.split(',')
  const parts = GROWTH_PARTS.filter((part) => asked.includes(part))
  if (parts.length === 0 || parts.length !== asked.length)
    throw new UserError(`--parts takes ${GROWTH_PARTS.join(', ')}, comma-separated, not "${values.parts}".`)
  const more = { tableRows: numberOf('table-rows'), minutes: numberOf('minutes') }
  return await benchGrowth(parts, { ...bench(3, 30), ...more })
}

/** Prints the results and adds them to the file. @returns the exit code */
function report(results: Results): number {
  const { latencies, drains } = results
  const measurements = [...results.measurements, ...(results.growth.table ?? [])]
  const tables = [
    ...(results.measurements.length > 0 ? [measurementTable(results.measurements)] : []),
    ...(latencies.length > 0 ? [latencyTable(latencies)] : []),
    ...(drains.length > 0 ? [drainTable(drains)] : []),
    ...growthTables(results.growth),
    measurements
      .flatMap(({ measurement, notes }) => notes.map((note) => `${measurement}: ${note}`))
      .join('\n'),
  ]
  for (const table of tables.filter(Boolean)) process.stdout.write(`\n${table}\n`)
  const load = loadavg()[0]?.toFixed(2)
  process.stdout.write(`\n${writeResults(results, values.name)}; load average now ${load}\n`)
  const isMet =
    results.measurements.every((measurement) => reaches(measurement, measurement.must)) &&
    staysFlat(results.growth)
  return isMet ? 0 : 1
}

/** A number above 0 that an option gives. @throws {UserError} it is none */
function numberOf(name: 'pairs' | 'seconds' | 'rows' | 'table-rows' | 'minutes', otherwise?: number): number {
  const value = Number(values[name] ?? otherwise)
  if (!(value > 0)) throw new UserError(`--${name} must be a number above 0, not "${values[name]}".`)
  return value
}

/** The commit that is measured, with a mark when files differ from it. */
function commit(): string {
  try {
    return execFileSync('git', ['describe', '--always', '--dirty'], { encoding: 'utf8' }).trim()
  } catch {
    return 'unknown'
  }
}

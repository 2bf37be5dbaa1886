import { execFileSync } from 'node:child_process'
import { loadavg } from 'node:os'
import { benchApi } from '../tools/bench/api.ts'
import { benchBatch } from '../tools/bench/batch.ts'
import type { Bench } from '../tools/bench/bench.ts'
import { benchBroker } from '../tools/bench/broker.ts'
import { writeCharts } from '../tools/bench/charts.ts'
import { compare, COMPARED_PARTS, comparisonTable, conclusion } from '../tools/bench/compare.ts'
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

const HELP = `Measures the cost of Firehose as ratios to baselines, which alternate with it in the same run.

npm run bench -- api | batch | sink | broker | e2e | all | sweep | growth | compare | plot [options]
  api      POST /event, with and without Kafka, compared with bare node:http
  batch    POST /events, compared with JSON.parse of the same lines
  sink     draining a backlog, compared with psql \\copy; and the cost of exactly-once
  broker   CPU time of Kafka at 5,000 events/s, compared with ProducerPerformance
  e2e      open loop at 1,000, 5,000 and 10,000 requests/s: latency of the 202 and of the row, sustained rate
  all      all of the above
  sweep    draining one backlog with FETCH_MAX_BYTES from 64 KiB to 16 MiB
  growth   what must not grow: the cost of draining into a large table, of load with many idle connections, and memory
           over time; not part of \`all\`, because it takes half an hour and 5 GB of disk
  compare  CPU time of this checkout and of another one (--with), in turns, until the 95 % interval of their ratio lies
           within 0.97 to 1.03 or outside it
  plot     draws docs/bench-latency.svg (from e2e) and docs/bench-drain.svg (from sweep)
  --pairs N        number of pairs of Firehose and the baseline (8; growth 3, sweep 2; compare: at most, 32)
  --seconds N      length of each measurement (5; e2e and growth 30)
  --rows N         rows in the backlog (500000)
  --rates LIST     request rates of e2e, comma-separated (1000,5000,10000)
  --parts LIST     parts of growth (table,idle,memory) or of compare (api,batch,sink), comma-separated
  --with DIR       compare: the other checkout, in which npm ci was run
  --table-rows N   rows in the table that growth drains into (10000000)
  --minutes N      how long growth measures memory (10)
  --name TEXT      name of the results file, tools/bench/results/TEXT.json; results of the same commit are merged (latest)
  --help

Needs Linux with taskset, two cores, psql, Java 17 and Maven. Stop other programs first; the load average is printed.
Exit code 0: every ratio is within its bound; compare: nothing is slower or unresolved. 1: something is, or the benchmark could not run.
`

const { values, positionals } = parseArgsOrExit({
  allowPositionals: true,
  options: {
    pairs: { type: 'string' },
    seconds: { type: 'string' },
    rows: { type: 'string', default: '500000' },
    rates: { type: 'string', default: '1000,5000,10000' },
    parts: { type: 'string' },
    with: { type: 'string' },
    'table-rows': { type: 'string', default: '10000000' },
    minutes: { type: 'string', default: '10' },
    name: { type: 'string', default: 'latest' },
    help: { type: 'boolean', default: false },
  },
})

const say = (line: string): void => {
  process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${line}\n`)
}
/** The options, with the given defaults. */
const bench = (pairs: number, seconds: number): Bench => ({
  rounds: numberOf('pairs', pairs),
  seconds: numberOf('seconds', seconds),
  rows: numberOf('rows'),
  say,
})
const BENCHES = { api: benchApi, batch: benchBatch, sink: benchSink, broker: benchBroker }
const PARTS = [...Object.keys(BENCHES), 'e2e', 'all', 'sweep', 'growth', 'compare', 'plot']
const part = positionals[0] ?? ''

if (values.help || positionals.length !== 1 || !PARTS.includes(part)) {
  ;(values.help ? process.stdout : process.stderr).write(HELP)
  process.exitCode = values.help ? 0 : 64
} else {
  endOnSignal()
  try {
    process.exitCode = part === 'plot' ? plot() : part === 'compare' ? await compareWith() : await main()
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
  for (const [name, run] of Object.entries(BENCHES)) {
    if (part === 'all' || part === name) results.measurements.push(...(await run(bench(8, 5))))
  }
  if (part === 'all' || part === 'e2e')
    results.latencies = await benchLatency(values.rates.split(',').map(Number), bench(8, 30))
  if (part === 'sweep') results.drains = await benchSweep(bench(2, 5))
  if (part === 'growth') results.growth = await growth()
  return report(results)
}

async function growth(): Promise<Growth> {
  const parts = partsOf(GROWTH_PARTS)
  const more = { tableRows: numberOf('table-rows'), minutes: numberOf('minutes') }
  return await benchGrowth(parts, { ...bench(3, 30), ...more })
}

async function compareWith(): Promise<number> {
  if (values.with === undefined) throw new UserError('compare needs --with DIR, another checkout.')
  const comparisons = await compare(partsOf(COMPARED_PARTS), { ...bench(32, 5), other: values.with })
  process.stdout.write(`\n${comparisonTable(comparisons)}\n`)
  const good = ['no difference', 'faster']
  return comparisons.every(({ ratio }) => good.includes(conclusion(ratio))) ? 0 : 1
}

/** The chosen parts, by default all. @throws {UserError} if one is unknown */
function partsOf<Part extends string>(all: readonly Part[]): Part[] {
  const asked = values.parts?.split(',') ?? all
  const parts = all.filter((name) => asked.includes(name))
  if (parts.length === 0 || parts.length !== asked.length)
    throw new UserError(`--parts must be a comma-separated list of ${all.join(', ')}, not "${values.parts}".`)
  return parts
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

/** The value of an option. @throws {UserError} if it is not a number above 0 */
function numberOf(name: 'pairs' | 'seconds' | 'rows' | 'table-rows' | 'minutes', otherwise?: number): number {
  const value = Number(values[name] ?? otherwise)
  if (!(value > 0)) throw new UserError(`--${name} must be a number above 0, not "${values[name]}".`)
  return value
}

/** The measured commit, with the suffix "-dirty" if files differ from it. */
function commit(): string {
  try {
    return execFileSync('git', ['describe', '--always', '--dirty'], { encoding: 'utf8' }).trim()
  } catch {
    return 'unknown'
  }
}

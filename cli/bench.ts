import { execFileSync } from 'node:child_process'
import { loadavg } from 'node:os'
import { benchApi } from '../tools/bench/api.ts'
import { benchBatch } from '../tools/bench/batch.ts'
import type { Bench } from '../tools/bench/bench.ts'
import { benchBroker } from '../tools/bench/broker.ts'
import { writeCharts } from '../tools/bench/charts.ts'
import {
  compare,
  COMPARED_PARTS,
  type Comparison,
  comparisonTable,
  conclusion,
} from '../tools/bench/compare.ts'
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
import { compareAccess, isWithinAccessBound } from '../tools/bench/access.ts'
import { compareTexts, isWithinBound } from '../tools/bench/texts.ts'
import { benchSweep } from '../tools/bench/sweep.ts'
import { UserError } from '../embedded/user-error.ts'
import { UsageError } from '../platform/usage-error.ts'
import { backendName } from '../tools/stack/backends.ts'
import { newCommand, partOf, positive } from './command.ts'
import { endOnSignal } from './stop-on-signal.ts'

const BENCHES = { api: benchApi, batch: benchBatch, sink: benchSink, broker: benchBroker }
/** Parts whose results have a form of their own. */
const ALONE: Record<string, (values: Values) => number | Promise<number>> = {
  compare: compareWith,
  texts,
  access,
  plot,
}
const PARTS = [...Object.keys(BENCHES), 'e2e', 'all', 'sweep', 'growth', ...Object.keys(ALONE)]

interface Values {
  pairs?: string
  seconds?: string
  rows: string
  rates: string
  parts?: string
  with?: string
  tableRows: string
  leafRows: string
  minutes: string
  name: string
}

export const command = newCommand(
  'bench',
  'Measures the cost of Firehose as ratios to baselines, which alternate with it in the same run.',
)
  .argument('[part]', 'one of those below')
  .option(
    '--pairs <N>',
    'number of pairs of Firehose and the baseline (8; growth 4, sweep 2; compare, texts: at most 32, access: at most 12)',
  )
  .option('--seconds <N>', 'length of each measurement (5; e2e and growth 30)')
  .option('--rows <N>', 'rows in the backlog', '500000')
  .option('--rates <LIST>', 'request rates of e2e, comma-separated', '1000,5000,10000')
  .option(
    '--parts <LIST>',
    'parts of growth (table,users,idle,memory) or of compare (api,batch,sink), comma-separated',
  )
  .option('--with <DIR>', 'compare: the other checkout, in which npm ci was run')
  .option(
    '--table-rows <LIST>',
    'rows in the table that growth drains into, comma-separated, ascending',
    '0,10000000,30000000',
  )
  .option('--leaf-rows <N>', 'rows of each day in the past, for growth', '1000000')
  .option('--minutes <N>', 'how long growth measures memory', '10')
  .option(
    '--name <TEXT>',
    'name of the results file, tools/bench/results/TEXT.json; results of the same commit are merged',
    'latest',
  )
  .addHelpText(
    'after',
    `
Parts:
  api      POST /event, with and without Kafka, compared with bare node:http
  batch    POST /events, compared with JSON.parse of the same lines
  sink     draining a backlog, compared with psql \\copy; and the cost of exactly-once
  broker   CPU time of Kafka at 5,000 events/s, compared with ProducerPerformance
  e2e      open loop at 1,000, 5,000 and 10,000 requests/s: latency of the 202 and of the row, sustained rate
  all      all of the above
  sweep    draining one backlog with FETCH_MAX_BYTES from 64 KiB to 16 MiB
  growth   what must not grow: the cost of draining into a large table, in partitions and in one table as before (table);
           searches for a user and duplicates at many partitions (users); load with many idle connections (idle);
           memory over time (memory). Not part of \`all\`, because it takes about an hour and 40 GB of disk
  compare  CPU time of this checkout and of another one (--with), in turns, until the 95 % interval of their ratio lies
           within 0.97 to 1.03 or outside it
  access   CPU time of POST /event with a key and limits, and with a token, and without, in turns
  texts    CPU time for events with four short texts and without, in turns: POST /event, and draining a backlog
  plot     draws docs/bench-latency.svg (from e2e) and docs/bench-drain.svg (from sweep)

Needs Linux with taskset, two cores, psql, Java 17 and Maven. Stop other programs first; the load average is printed.
Exit code 0: every ratio is within its bound; compare: nothing is slower or unresolved. 1: something is, or the benchmark
could not run. 64: wrong usage.`,
  )
  .action(async (given: string | undefined, values: Values) => {
    const part = partOf(given, PARTS)
    backendName() // reports a mistake before anything starts
    endOnSignal()
    try {
      process.exitCode = await (ALONE[part] ?? main)(values, part)
    } catch (error) {
      if (!(error instanceof UserError)) throw error
      process.stderr.write(`${error.message}\n`)
      process.exitCode = 1
    }
  })

const say = (line: string): void => {
  process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${line}\n`)
}
/** The options, with the given defaults. @throws {UsageError} */
function benchOf(values: Values, pairs: number, seconds: number): Bench {
  return {
    rounds: positive('--pairs', values.pairs ?? String(pairs)),
    seconds: positive('--seconds', values.seconds ?? String(seconds)),
    rows: positive('--rows', values.rows),
    say,
  }
}

function plot(values: Values): number {
  for (const file of writeCharts(readResults(values.name))) process.stdout.write(`${file}\n`)
  return 0
}

async function main(values: Values, part: string): Promise<number> {
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
    if (part === 'all' || part === name) results.measurements.push(...(await run(benchOf(values, 8, 5))))
  }
  if (part === 'all' || part === 'e2e')
    results.latencies = await benchLatency(values.rates.split(',').map(Number), benchOf(values, 8, 30))
  if (part === 'sweep') results.drains = await benchSweep(benchOf(values, 2, 5))
  if (part === 'growth') results.growth = await growth(values)
  return report(results, values.name)
}

async function growth(values: Values): Promise<Growth> {
  const parts = partsOf(GROWTH_PARTS, values.parts)
  const more = {
    tableRows: sizesOf(values.tableRows),
    leafRows: positive('--leaf-rows', values.leafRows),
    minutes: positive('--minutes', values.minutes),
  }
  return await benchGrowth(parts, { ...benchOf(values, 4, 30), ...more })
}

async function compareWith(values: Values): Promise<number> {
  if (values.with === undefined) throw new UsageError('compare needs --with DIR, another checkout.')
  const comparisons = await compare(partsOf(COMPARED_PARTS, values.parts), {
    ...benchOf(values, 32, 5),
    other: values.with,
  })
  process.stdout.write(`\n${comparisonTable(comparisons)}\n`)
  const good = ['no difference', 'faster']
  return comparisons.every(({ ratio }) => good.includes(conclusion(ratio))) ? 0 : 1
}

async function texts(values: Values): Promise<number> {
  return withAndWithout(await compareTexts(benchOf(values, 32, 5)), isWithinBound)
}

async function access(values: Values): Promise<number> {
  return withAndWithout(await compareAccess(benchOf(values, 12, 5)), isWithinAccessBound)
}

/** Prints what something costs, beside the same without it. @returns the exit code */
function withAndWithout(comparisons: Comparison[], isWithin: (comparison: Comparison) => boolean): number {
  process.stdout.write(`\n${comparisonTable(comparisons, 'without', 'with')}\n`)
  return comparisons.every(isWithin) ? 0 : 1
}

/** @throws {UsageError} unless they are whole numbers in ascending order */
function sizesOf(given: string): number[] {
  const sizes = given.split(',').map((size) => (/^\d+$/.test(size) ? Number(size) : Number.NaN))
  if (sizes.every((size, n) => size > (sizes[n - 1] ?? -1))) return sizes
  throw new UsageError(`--table-rows must be ascending whole numbers, comma-separated, not "${given}".`)
}

/** The chosen parts, by default all. @throws {UsageError} if one is unknown */
function partsOf<Part extends string>(all: readonly Part[], given: string | undefined): Part[] {
  const asked = given?.split(',') ?? all
  const parts = all.filter((name) => asked.includes(name))
  if (parts.length === 0 || parts.length !== asked.length)
    throw new UsageError(`--parts must be a comma-separated list of ${all.join(', ')}, not "${given}".`)
  return parts
}

/** Prints the results and adds them to the file. @returns the exit code */
function report(results: Results, name: string): number {
  const { latencies, drains } = results
  const { growth: grown } = results
  const measurements = [
    ...results.measurements,
    ...(grown.table ?? []),
    ...(grown.users ? [grown.users.duplicates] : []),
  ]
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
  process.stdout.write(`\n${writeResults(results, name)}; load average now ${load}\n`)
  const isMet =
    results.measurements.every((measurement) => reaches(measurement, measurement.must)) &&
    staysFlat(results.growth)
  return isMet ? 0 : 1
}

/** The measured commit, with the suffix "-dirty" if files differ from it. */
function commit(): string {
  try {
    return execFileSync('git', ['describe', '--always', '--dirty'], { encoding: 'utf8' }).trim()
  } catch {
    return 'unknown'
  }
}

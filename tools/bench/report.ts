import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { UserError } from '../../embedded/user-error.ts'
import { formatTable } from '../../platform/table.ts'
import type { Growth } from './growth.ts'
import type { Latency } from './latency.ts'
import type { describeMachine } from './machine.ts'
import type { Quartiles } from './pairs.ts'
import { type Measurement, reaches } from './measurement.ts'
import type { Drain } from './sweep.ts'

/** The results of the benchmark on one commit: bench/results/NAME.json. */
export interface Results {
  startedAt: string
  commit: string
  machine: ReturnType<typeof describeMachine>
  measurements: Measurement[]
  latencies: Latency[]
  drains: Drain[]
  growth: Growth
}

/** The measurements as a table for the terminal: medians, with quartiles in brackets. */
export function measurementTable(measurements: readonly Measurement[]): string {
  const names = ['measurement', 'ours', 'baseline', 'ratio (quartiles)', 'must', 'aim', '']
  const rows = measurements.map((measurement) => {
    const bound = measurement.better === 'less' ? '<=' : '>='
    return [
      measurement.measurement,
      `${figure(measurement.ours.median)} ${measurement.unit}`,
      figure(measurement.baselineValue.median),
      `${measurement.ratio.median.toFixed(2)} (${spread(measurement.ratio)})`,
      `${bound} ${measurement.must}`,
      `${measurement.aim}`,
      verdict(measurement),
    ]
  })
  return formatTable(names, rows, 60)
}

/** The latencies as a table for the terminal. */
export function latencyTable(latencies: readonly Latency[]): string {
  const names = ['rate', 'sent', 'failed', '202 p50', 'p99', 'row p50', 'p99', 'lag', 'cores', '']
  const rows = latencies.map((each) => [
    `${each.rate.toLocaleString('en')}/s`,
    each.sent.toLocaleString('en'),
    String(each.failed),
    `${each.answerP50Ms.toFixed(1)} ms`,
    `${each.answerP99Ms.toFixed(1)} ms`,
    `${Math.round(each.rowP50Ms)} ms`,
    `${Math.round(each.rowP99Ms)} ms`,
    `${each.lagS.toFixed(2)} s`,
    Object.entries(each.cores)
      .map(([name, share]) => `${name} ${share.toFixed(2)}`)
      .join(', '),
    each.holds ? 'holds' : 'does not hold',
  ])
  return formatTable(names, rows, 70)
}

/** The drains as a table for the terminal. */
export function drainTable(drains: readonly Drain[]): string {
  const names = ['FETCH_MAX_BYTES', 'rows per transaction', 'rows/s', 'CPU per row']
  const rows = drains.map((each) => [
    each.fetchMaxBytes.toLocaleString('en'),
    Math.round(each.rowsATransaction).toLocaleString('en'),
    Math.round(each.rowsPerSecond).toLocaleString('en'),
    `${each.cpuUs.toFixed(2)} us`,
  ])
  return formatTable(names, rows, 60)
}

/**
 * Writes the results to the file of this name. Earlier results of the same commit that this run has not measured are
 * kept; those of another commit are dropped.
 *
 * @returns the file's path
 */
export function writeResults(results: Results, name: string): string {
  const file = resultsFile(name)
  mkdirSync(new URL('.', file), { recursive: true })
  const all = existsSync(file) ? merged(readResults(name), results) : results
  writeFileSync(file, `${JSON.stringify(all, null, 2)}\n`)
  return file.pathname
}

/** Reads results. @throws {UserError} if there are none of this name */
export function readResults(name: string): Results {
  const file = resultsFile(name)
  if (!existsSync(file))
    throw new UserError(`${file.pathname} does not exist: run a benchmark with --name ${name} first.`)
  return JSON.parse(readFileSync(file, 'utf8')) as Results
}

/** Merges a run with those results of earlier runs on the same commit that it has not measured again. */
export function merged(earlier: Results, run: Results): Results {
  if (earlier.commit !== run.commit) return run
  return {
    ...run,
    measurements: newer(earlier.measurements, run.measurements, ({ measurement }) => measurement),
    latencies: newer(earlier.latencies, run.latencies, ({ rate }) => rate).toSorted(
      (a, b) => a.rate - b.rate,
    ),
    drains: run.drains.length > 0 ? run.drains : earlier.drains,
    growth: { ...earlier.growth, ...run.growth },
  }
}

function newer<T>(earlier: readonly T[], run: readonly T[], keyOf: (item: T) => unknown): T[] {
  const measured = new Set(run.map(keyOf))
  return [...earlier.filter((item) => !measured.has(keyOf(item))), ...run]
}

function resultsFile(name: string): URL {
  return new URL(`./results/${name}.json`, import.meta.url)
}

function verdict(measurement: Measurement): string {
  return reaches(measurement, measurement.aim)
    ? 'aim reached'
    : reaches(measurement, measurement.must)
      ? 'met'
      : 'NOT MET'
}

function figure(value: number): string {
  return value >= 1_000 ? Math.round(value).toLocaleString('en') : value.toFixed(value < 20 ? 2 : 1)
}

function spread({ q1, q3 }: Quartiles): string {
  return `${q1.toFixed(2)}-${q3.toFixed(2)}`
}

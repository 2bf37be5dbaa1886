import { writeFileSync } from 'node:fs'
import { UserError } from '../../embedded/user-error.ts'
import { type Chart, chartSvg, type Line } from './plot.ts'
import type { Results } from './report.ts'

/**
 * Writes the charts for which results exist: docs/bench-latency.svg and docs/bench-drain.svg.
 *
 * @returns their paths
 * @throws {UserError} if there are no results for either
 */
export function writeCharts(results: Results): string[] {
  const charts = {
    ...(results.latencies.length > 0 ? { 'bench-latency': latencyChart(results) } : {}),
    ...(results.drains.length > 0 ? { 'bench-drain': drainChart(results) } : {}),
  }
  if (Object.keys(charts).length === 0)
    throw new UserError('There is nothing to draw: run `npx firehose bench e2e` or `sweep` first.')
  return Object.entries(charts).map(([name, chart]) => {
    const file = new URL(`../../docs/${name}.svg`, import.meta.url)
    writeFileSync(file, chartSvg(chart))
    return file.pathname
  })
}

function latencyChart(results: Results): Chart {
  const line = (
    name: string,
    colour: Line['colour'],
    key: 'answerP50Ms' | 'answerP99Ms' | 'rowP50Ms' | 'rowP99Ms',
  ): Line => ({
    name,
    colour,
    isDashed: key.endsWith('P99Ms'),
    points: results.latencies.map((each) => [each.rate, each[key]] as const),
  })
  return {
    title: 'Time to the 202, and time until the row is stored',
    about: describe(results, 'open loop, everything on one machine', 'npx firehose bench e2e'),
    x: { label: 'requests per second', isLog: false },
    y: { label: 'milliseconds', isLog: true },
    lines: [
      line('202, p50', 'blue', 'answerP50Ms'),
      line('202, p99', 'blue', 'answerP99Ms'),
      line('row, p50', 'orange', 'rowP50Ms'),
      line('row, p99', 'orange', 'rowP99Ms'),
    ],
  }
}

function drainChart(results: Results): Chart {
  const points = results.drains.map((each) => [each.rowsATransaction, each.rowsPerSecond] as const)
  return {
    title: 'Drain rate of one sink by transaction size',
    about: describe(results, 'FETCH_MAX_BYTES from 64 KiB to 16 MiB', 'npx firehose bench sweep'),
    x: { label: 'rows per transaction', isLog: true },
    y: { label: 'rows per second', isLog: false },
    lines: [
      { name: 'one sink', colour: 'blue', isDashed: false, points: points.toSorted((a, b) => a[0] - b[0]) },
    ],
  }
}

function describe({ machine, startedAt, commit }: Results, what: string, command: string): string {
  return [what, `${machine.cores} cores`, `${startedAt.slice(0, 10)}, ${commit}`, command].join(' · ')
}

import { mkdirSync, writeFileSync } from 'node:fs'
import { formatTable } from '../runtime/table.ts'
import type { Latency } from './latency.ts'
import type { describeMachine } from './machine.ts'
import type { Quartiles } from './pairs.ts'
import { type Road, reaches } from './road.ts'

/** What one run of the benchmark found: bench/results/NAME.json. */
export interface Results {
  startedAt: string
  commit: string
  machine: ReturnType<typeof describeMachine>
  roads: Road[]
  latencies: Latency[]
}

/** The roads as a table for the terminal: medians, quartiles in brackets. */
export function roadTable(roads: readonly Road[]): string {
  const names = ['road', 'ours', 'floor', 'ratio (quartiles)', 'must', 'aim', '']
  const rows = roads.map((road) => {
    const bound = road.better === 'less' ? '<=' : '>='
    return [
      road.road,
      `${figure(road.ours.median)} ${road.unit}`,
      figure(road.floorValue.median),
      `${road.ratio.median.toFixed(2)} (${spread(road.ratio)})`,
      `${bound} ${road.must}`,
      `${road.aim}`,
      verdict(road),
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

/** Writes the results beside those of earlier runs. @returns the file's path */
export function writeResults(results: Results, name: string): string {
  const dir = new URL('./results/', import.meta.url)
  mkdirSync(dir, { recursive: true })
  const file = new URL(`${name}.json`, dir)
  writeFileSync(file, `${JSON.stringify(results, null, 2)}\n`)
  return file.pathname
}

function verdict(road: Road): string {
  return reaches(road, road.aim) ? 'aim reached' : reaches(road, road.must) ? 'met' : 'NOT MET'
}

function figure(value: number): string {
  return value >= 1_000 ? Math.round(value).toLocaleString('en') : value.toFixed(value < 20 ? 2 : 1)
}

function spread({ q1, q3 }: Quartiles): string {
  return `${q1.toFixed(2)}-${q3.toFixed(2)}`
}

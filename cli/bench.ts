import { execFileSync } from 'node:child_process'
import { loadavg } from 'node:os'
import { benchApi } from '../bench/api.ts'
import { benchBatch } from '../bench/batch.ts'
import type { Bench } from '../bench/bench.ts'
import { benchBroker } from '../bench/broker.ts'
import { benchLatency } from '../bench/latency.ts'
import { describeMachine } from '../bench/machine.ts'
import { latencyTable, type Results, roadTable, writeResults } from '../bench/report.ts'
import { reaches } from '../bench/road.ts'
import { benchSink } from '../bench/sink.ts'
import { parseArgsOrExit } from './args.ts'

const HELP = `Measures what Firehose costs, as ratios to floors that take turns with it in the same run.

npm run bench -- api | batch | sink | broker | e2e | all [options]
  api      POST /event, whole and without Kafka, against bare node:http
  batch    POST /events, against JSON.parse of the same lines
  sink     draining a backlog, against psql \\copy; and what exactly-once costs
  broker   Kafka's CPU at 5,000 events/s, against ProducerPerformance
  e2e      open loop at 1,000, 5,000 and 10,000 requests/s: the 202, the row, what holds
  --pairs N      times that ours and the floor take turns (8)
  --seconds N    length of a measured span; e2e takes 30 (5)
  --rows N       of the backlog (500000)
  --rates LIST   of e2e, comma-separated (1000,5000,10000)
  --name TEXT    the results go to bench/results/TEXT.json (latest)
  --help

Needs Linux with taskset, two cores, psql, Java 17 and Maven. Close what else runs: the load average is printed.
Exit code 0: every ratio is within its bound. 1: one is not, or the benchmark could not run.
`

const { values, positionals } = parseArgsOrExit({
  allowPositionals: true,
  options: {
    pairs: { type: 'string', default: '8' },
    seconds: { type: 'string' },
    rows: { type: 'string', default: '500000' },
    rates: { type: 'string', default: '1000,5000,10000' },
    name: { type: 'string', default: 'latest' },
    help: { type: 'boolean', default: false },
  },
})

const say = (line: string): void => {
  process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${line}\n`)
}
const bench: Bench = {
  rounds: Number(values.pairs),
  seconds: Number(values.seconds ?? 5),
  rows: Number(values.rows),
  say,
}
const ROADS = { api: benchApi, batch: benchBatch, sink: benchSink, broker: benchBroker }
const what = positionals[0] ?? ''
const chosen = Object.entries(ROADS).filter(([name]) => what === 'all' || what === name)
const isE2e = what === 'all' || what === 'e2e'

if (values.help || positionals.length !== 1 || (chosen.length === 0 && !isE2e)) {
  ;(values.help ? process.stdout : process.stderr).write(HELP)
  process.exitCode = values.help ? 0 : 64
} else {
  process.exitCode = await main()
}

async function main(): Promise<number> {
  const results: Results = {
    startedAt: new Date().toISOString(),
    commit: commit(),
    machine: describeMachine(),
    roads: [],
    latencies: [],
  }
  say(`${results.machine.cores} cores, ${results.machine.cpu}; load average ${results.machine.load}`)
  for (const [, run] of chosen) results.roads.push(...(await run(bench)))
  if (isE2e) {
    const rates = values.rates.split(',').map(Number)
    results.latencies.push(
      ...(await benchLatency(rates, { ...bench, seconds: Number(values.seconds ?? 30) })),
    )
  }
  if (results.roads.length > 0) process.stdout.write(`\n${roadTable(results.roads)}\n`)
  for (const { road, notes } of results.roads) {
    for (const note of notes) process.stdout.write(`${road}: ${note}\n`)
  }
  if (isE2e) process.stdout.write(`\n${latencyTable(results.latencies)}\n`)
  process.stdout.write(
    `\n${writeResults(results, values.name)}; load average now ${loadavg()[0]?.toFixed(2)}\n`,
  )
  const isMet = results.roads.every((road) => reaches(road, road.must))
  return isMet ? 0 : 1
}

/** The commit that is measured, with a mark when files differ from it. */
function commit(): string {
  try {
    return execFileSync('git', ['describe', '--always', '--dirty'], { encoding: 'utf8' }).trim()
  } catch {
    return 'unknown'
  }
}

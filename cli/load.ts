import { loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { load, type LoadOptions, type LoadProgress, type LoadResult } from '../tools/load/load.ts'
import { stopOnSignal } from './stop-on-signal.ts'

const HELP = `Sends known events to the API at a constant rate and counts the outcome of each.

npm run load -- [options]
  --rate N           events per second (1000)
  --connections N    keep-alive connections (100)
  --seconds N        how long (10)
  --batch K          K events per request, to POST /events (1: POST /event)
  --acked FILE       write each acknowledged event as event_id<TAB>body; check with npm run verify -- --acked FILE
  --retry            retry failed events, with the same id and bytes, until they are accepted (for at most 120 s)
  --url URL          base URL of the API (http://127.0.0.1:8000)
  --seed TEXT        seed from which the events are generated (random)
  --help

Latency is measured from the intended send time, so that stalls of the server are included. Ctrl-C stops early.
Exit code 0: every event was accepted. 1: some were not, or the command could not run.
`

try {
  const values = parse()
  if (values.help) process.stdout.write(HELP)
  else process.exitCode = await main(values)
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}

async function main(values: ReturnType<typeof parse>): Promise<number> {
  const signal = stopOnSignal(() =>
    process.stderr.write('Stopping (press Ctrl-C again to exit immediately)\n'),
  )
  const cpuBefore = process.cpuUsage()
  const result = await load({ ...optionsOf(values), signal, onProgress })
  printResult(result, process.cpuUsage(cpuBefore), Number(values.batch))
  return result.acked === result.sent ? 0 : 1
}

function parse() {
  return parseArgs({
    options: {
      rate: { type: 'string', default: '1000' },
      connections: { type: 'string', default: '100' },
      seconds: { type: 'string', default: '10' },
      batch: { type: 'string', default: '1' },
      acked: { type: 'string' },
      retry: { type: 'boolean', default: false },
      url: { type: 'string', default: 'http://127.0.0.1:8000' },
      seed: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  }).values
}

function optionsOf(given: ReturnType<typeof parse>): LoadOptions {
  return {
    url: given.url,
    rate: Number(given.rate),
    connections: Number(given.connections),
    seconds: Number(given.seconds),
    batch: Number(given.batch),
    retry: given.retry,
    ...(given.acked === undefined ? {} : { ackedFile: given.acked }),
    ...(given.seed === undefined ? {} : { seed: given.seed }),
  }
}

function onProgress(progress: LoadProgress): void {
  const { elapsed_s, acked_per_s, acked, failed, retried, in_flight, queued, p99_ms } = progress
  process.stderr.write(
    `${elapsed_s} s: ${acked_per_s}/s acked, ${acked} in total, ${failed} failed, ${retried} retried, ` +
      `${in_flight} in flight, ${queued} waiting, p99 ${p99_ms.toFixed(1)} ms\n`,
  )
}

function printResult(result: LoadResult, cpu: NodeJS.CpuUsage, batch: number): void {
  const requests = Math.max(1, Math.ceil(result.sent / batch))
  const rows: [string, string][] = [
    ['seed, start', `${result.seed}, ${result.started_at_ms}`],
    ['sent', `${result.sent} events, ${Math.round(result.sent_rate)}/s`],
    ['acknowledged', `${result.acked} events, ${Math.round(result.achieved_rate)}/s`],
    ['failed', counts(result.errors)],
    ['failed, outcome unknown', String(result.unknown)],
    ['retried', counts(result.retries)],
    ['latency p50 / p90', `${ms(result.p50_ms)} / ${ms(result.p90_ms)}`],
    ['latency p99 / max', `${ms(result.p99_ms)} / ${ms(result.max_ms)}`],
    ['waiting for a connection', `at most ${result.max_queued} requests`],
    ['generator late p99 / max', `${ms(result.late_p99_ms)} / ${ms(result.late_max_ms)}`],
    ['generator CPU', `${((cpu.user + cpu.system) / requests).toFixed(1)} us per request`],
    [
      'load average',
      loadavg()
        .map((value) => value.toFixed(2))
        .join(' '),
    ],
  ]
  for (const [name, value] of rows) process.stdout.write(`${name.padEnd(26)}${value}\n`)
}

function ms(value: number): string {
  return `${value.toFixed(1)} ms`
}

function counts(byKind: Record<string, number>): string {
  const kinds = Object.entries(byKind).map(([kind, count]) => `${kind}: ${count}`)
  return kinds.length === 0 ? 'none' : kinds.join(', ')
}

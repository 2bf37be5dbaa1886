import { loadavg } from 'node:os'
import { load, type LoadOptions, type LoadProgress, type LoadResult } from '../tools/load/load.ts'
import type { UserIds } from '../tools/load/shapes.ts'
import { remediesFor } from '../tools/send/remedies.ts'
import { UsageError } from '../platform/usage-error.ts'
import { API_KEY_HELP, eventTarget } from './api-key.ts'
import { newCommand, positive } from './command.ts'
import { API_URL_HELP, checkUrl } from './service-url.ts'
import { stopOnSignal } from './stop-on-signal.ts'

interface Values {
  rate: string
  connections: string
  seconds: string
  batch: string
  shapes?: string | true
  acked?: string
  retry?: true
  url?: string
  seed?: string
}

export const command = newCommand(
  'load',
  'Sends known events to the API at a constant rate and counts the outcome of each.',
)
  .option('--rate <N>', 'events per second', '1000')
  .option('--connections <N>', 'keep-alive connections', '100')
  .option('--seconds <N>', 'how long', '10')
  .option('--batch <K>', 'K events per request, to POST /events; 1: POST /event', '1')
  .option(
    '--shapes [USER_ID_TYPE]',
    'send events of all shapes: any of the optional fields, texts that are hard to copy, without user_id, without event_id; text: also user ids that are no integers, for an API with USER_ID_TYPE=text',
  )
  .option(
    '--acked <FILE>',
    'write each acknowledged event as event_id<TAB>body; check with firehose verify --acked FILE',
  )
  .option(
    '--retry',
    'retry failed events, with the same id and bytes, until they are accepted (for at most 120 s)',
  )
  .option('--url <URL>', API_URL_HELP)
  .option('--seed <TEXT>', 'seed from which the events are generated (random)')
  .addHelpText(
    'after',
    `
An event without event_id gets one from the API, so with --shapes and --retry it may be stored again, under another id,
if a response is lost. Latency is measured from the intended send time, so that stalls of the server are included.
Ctrl-C stops early.

${API_KEY_HELP}
Exit code 0: every event was accepted. 1: some were not, or the command could not run. 64: wrong usage.
78: wrong settings.`,
  )
  .action(async (values: Values) => {
    const options = optionsOf(values)
    try {
      process.exitCode = await main(options)
    } catch (error) {
      process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
      process.exitCode = 1
    }
  })

async function main(options: LoadOptions): Promise<number> {
  const signal = stopOnSignal(() =>
    process.stderr.write('Stopping (press Ctrl-C again to exit immediately)\n'),
  )
  const cpuBefore = process.cpuUsage()
  const result = await load({ ...options, signal, onProgress })
  printResult(result, process.cpuUsage(cpuBefore), options.batch ?? 1)
  return result.acked === result.sent ? 0 : 1
}

/** @throws {UsageError} @throws {ConfigError} */
function optionsOf(given: Values): LoadOptions {
  checkUrl('--url', given.url)
  const { url, key } = eventTarget(given.url)
  return {
    url,
    ...(key === undefined ? {} : { key: { text: key } }),
    rate: positive('--rate', given.rate),
    connections: positive('--connections', given.connections),
    seconds: positive('--seconds', given.seconds),
    batch: positive('--batch', given.batch),
    retry: given.retry ?? false,
    ...(given.shapes === undefined ? {} : { shapes: userIdsOf(given.shapes) }),
    ...(given.acked === undefined ? {} : { ackedFile: given.acked }),
    ...(given.seed === undefined ? {} : { seed: given.seed }),
  }
}

/** @throws {UsageError} */
function userIdsOf(given: string | true): UserIds {
  if (given === true || given === 'bigint') return 'bigint'
  if (given === 'text') return 'text'
  throw new UsageError(`--shapes can be followed by bigint or text, not by "${given}".`)
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
  for (const remedy of remediesFor(Object.keys(result.errors))) process.stderr.write(`${remedy}\n`)
}

function ms(value: number): string {
  return `${value.toFixed(1)} ms`
}

function counts(byKind: Record<string, number>): string {
  const kinds = Object.entries(byKind).map(([kind, count]) => `${kind}: ${count}`)
  return kinds.length === 0 ? 'none' : kinds.join(', ')
}

import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { writeBacklog } from '../tools/bench/backlog.ts'
import { MEASURED_CORE, pinService } from '../tools/bench/machine.ts'
import { profiled, profileIn, topSelfTimes } from '../tools/bench/profile.ts'
import { CLIENTS, saturate, spanOf } from '../tools/bench/saturate.ts'
import { startStack } from '../tools/bench/stack.ts'
import type { NodeService } from '../embedded/node-service.ts'
import { backendName } from '../tools/stack/backends.ts'
import { newCommand, partOf, positive } from './command.ts'
import { formatTable } from '../platform/table.ts'
import { endOnSignal } from './stop-on-signal.ts'

const PARTS = ['api', 'batch', 'sink']
const PARTITIONS = 4
const STOP_LIMIT_MS = 30_000

interface Values {
  top: string
  seconds: string
  rows: string
}

export const command = newCommand(
  'profile',
  'Runs a service under load with the CPU profiler, and prints the functions with the most self time.',
)
  .argument('[part]', 'api, batch or sink')
  .option('--top <N>', 'functions to print', '10')
  .option('--seconds <N>', 'duration of the load', '8')
  .option('--rows <N>', 'rows in the backlog', '400000')
  .addHelpText(
    'after',
    `
Parts:
  api      POST /event, 256 connections
  batch    POST /events, 100 events per request, 32 connections
  sink     draining a backlog

The profile can be opened in Chrome DevTools or VS Code.`,
  )
  .action(async (part: string | undefined, values: Values) => {
    const what = partOf(part, PARTS)
    backendName() // reports a mistake before anything starts
    const [top, seconds, rows] = [
      positive('--top', values.top),
      positive('--seconds', values.seconds),
      positive('--rows', values.rows),
    ]
    endOnSignal()
    await main(what, { top, seconds, rows })
  })

async function main(what: string, options: { top: number; seconds: number; rows: number }): Promise<void> {
  const dir = fileURLToPath(new URL(`../tools/bench/results/profile-${what}`, import.meta.url))
  const env = profiled(dir)
  const { pipeline } = await startStack({ KAFKA_TOPIC_PARTITIONS: String(PARTITIONS) })
  try {
    if (what === 'sink') await drain()
    else await load()
  } finally {
    await pipeline.close()
  }
  const file = profileIn(dir)
  const rows = topSelfTimes(file, options.top).map(({ where, ms, share }) => [
    `${(share * 100).toFixed(1)}%`,
    `${ms.toFixed(0)} ms`,
    where,
  ])
  process.stdout.write(`${formatTable(['share', 'self', 'function'], rows, 90)}\n\n${file}\n`)

  async function drain(): Promise<void> {
    const records = options.rows
    await writeBacklog(pipeline, records)
    const sink = await pinned('sink-worker/main.ts', 'SINK_PORT')
    while (Number((await sink.health())?.total_stored) < records) await delay(100)
    await sink.stop(STOP_LIMIT_MS)
  }

  async function load(): Promise<void> {
    const api = await pinned('producer-api/main.ts', 'PORT')
    const { perSecond } = await saturate(api.pid ?? 0, {
      url: api.url,
      ...CLIENTS[what === 'batch' ? 'batch' : 'api'],
      ...spanOf(options.seconds),
      isBaseline: false,
    })
    process.stderr.write(`${Math.round(perSecond)} events/s\n`)
    await api.stop(STOP_LIMIT_MS)
  }

  async function pinned(program: string, portVariable: string): Promise<NodeService> {
    return await pinService(pipeline.startService(program, portVariable, env), MEASURED_CORE)
  }
}

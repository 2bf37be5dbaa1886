import { namedEvents, plainEvents } from '../load/events.ts'
import { writeBacklog } from './backlog.ts'
import type { Bench } from './bench.ts'
import { type Comparison, comparisonOf, type Run, untilResolved, type Variants } from './compare.ts'
import { backlogOf, drainBySink } from './drain.ts'
import { MEASURED_CORE, pinService } from './machine.ts'
import { CLIENTS, saturate, spanOf } from './saturate.ts'
import { eventsInTopic, startStack } from './stack.ts'

/* What four short texts cost: the same build, with and without them in each event, in turns. */

/** The most that the CPU time with texts may be of that without; the sink's includes that of PostgreSQL. */
const BOUNDS: Readonly<Record<string, number>> = { api: 1.1, sink: 1.15 }

export function isWithinBound({ part, ratio }: Comparison): boolean {
  return ratio.high <= (BOUNDS[part] ?? Number.POSITIVE_INFINITY)
}

/** @throws an Error if an event was lost */
export async function compareTexts(bench: Bench): Promise<Comparison[]> {
  return [await compareApi(bench), ...(await compareSink(bench))]
}

async function compareApi(bench: Bench): Promise<Comparison> {
  const { pipeline } = await startStack()
  try {
    let accepted = 0
    const api = await pinService(pipeline.startApi(), MEASURED_CORE)
    const runOf = (hasTexts: boolean): Run => {
      const target = { url: api.url, ...CLIENTS.api, ...spanOf(bench.seconds), isBaseline: false, hasTexts }
      return async () => {
        const result = await saturate(api.pid ?? 0, target)
        accepted += result.accepted
        return result.cpuUs
      }
    }
    const variants = { other: runOf(false), this: runOf(true), again: runOf(true) }
    const comparison = await untilResolved('api', variants, bench)
    const stored = await eventsInTopic(pipeline)
    if (stored !== accepted) throw new Error(`the topic holds ${stored} events, ${accepted} were accepted`)
    return comparison
  } finally {
    await pipeline.close()
  }
}

/** The sink and PostgreSQL together, and the sink alone. */
async function compareSink(bench: Bench): Promise<Comparison[]> {
  const stack = await startStack({ KAFKA_TOPIC_PARTITIONS: '4' })
  try {
    const { records, warmUp } = backlogOf(bench.rows)
    const own: Record<keyof Variants, number[]> = { other: [], this: [], again: [] }
    const runOf = (topic: string, variant: keyof Variants): Run => {
      const env = { KAFKA_TOPIC: topic }
      return async () => {
        const { cpuUs, ownUs } = await drainBySink(stack, 'sink-worker/main.ts', { records, warmUp, env })
        const stored = await stack.pipeline.countEvents()
        if (stored !== records) throw new Error(`${records} records became ${stored} rows`)
        own[variant].push(ownUs)
        return cpuUs
      }
    }
    await writeBacklog(stack.pipeline, records, { topic: 'events', eventsOf: plainEvents })
    await writeBacklog(stack.pipeline, records, { topic: 'events_named', eventsOf: namedEvents })
    const variants = {
      other: runOf('events', 'other'),
      this: runOf('events_named', 'this'),
      again: runOf('events_named', 'again'),
    }
    const whole = await untilResolved('sink', variants, bench)
    return [whole, comparisonOf('sink alone', own)]
  } finally {
    await stack.pipeline.close()
  }
}

import { existsSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { NodeService } from '../../embedded/node-service.ts'
import { UserError } from '../../embedded/user-error.ts'
import { formatTable } from '../../platform/table.ts'
import { writeBacklog } from './backlog.ts'
import type { Bench } from './bench.ts'
import { backlogOf, drainBySink } from './drain.ts'
import { MEASURED_CORE, pinService } from './machine.ts'
import { inTurns, type MeanRatio, meanRatio, quartiles, ratios } from './pairs.ts'
import { CLIENTS, saturate, spanOf } from './saturate.ts'
import { eventsInTopic, startStack } from './stack.ts'

/* Whether this checkout takes more CPU time than another one, for a claim such as "no slower". */

export const COMPARED_PARTS = ['api', 'batch', 'sink'] as const
export type ComparedPart = (typeof COMPARED_PARTS)[number]

export interface Comparison {
  /** What was measured. */
  part: string
  /** Medians, in microseconds of CPU per event or row. */
  otherUs: number
  thisUs: number
  /** This checkout divided by the other one. */
  ratio: MeanRatio
  /** This checkout divided by itself, run in turn with both: what the machine alone does to a ratio. */
  itself: MeanRatio
  pairs: number
}

interface Compare extends Bench {
  /** The root of the other checkout, with its dependencies installed. */
  other: string
}

/** A variant's run. @returns microseconds of CPU per event or row */
export type Run = () => Promise<number>
export type Variants = Record<'other' | 'this' | 'again', Run>

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
/** A ratio within these bounds is no difference. */
const SAME = { low: 0.97, high: 1.03 }
/** Pairs between two looks at the interval. */
const STEP = 4
const LEAST_PAIRS = 8

/**
 * Runs the other checkout, this one and this one again in turn, until the interval of their ratio is narrow enough to
 * say which it is, and at most `rounds` times.
 *
 * @throws {UserError} if `other` is not a checkout with its dependencies; an Error if an event was lost
 */
export async function compare(parts: readonly ComparedPart[], bench: Compare): Promise<Comparison[]> {
  for (const need of ['producer-api/main.ts', 'sink-worker/main.ts', 'node_modules'])
    if (!existsSync(join(bench.other, need)))
      throw new UserError(`${bench.other} has no ${need}: --with names a checkout in which npm ci was run.`)
  const comparisons: Comparison[] = []
  for (const part of parts)
    comparisons.push(
      part === 'sink' ? await compareSinks(bench) : await compareApis(part, CLIENTS[part], bench),
    )
  return comparisons
}

/** Whether the interval is narrow enough, and what it says. */
export function conclusion({ low, high }: MeanRatio): 'no difference' | 'slower' | 'faster' | 'unresolved' {
  if (low >= SAME.low && high <= SAME.high) return 'no difference'
  if (low > SAME.high) return 'slower'
  if (high < SAME.low) return 'faster'
  return 'unresolved'
}

/** The comparisons as a table for the terminal. */
export function comparisonTable(comparisons: readonly Comparison[], other = 'other', self = 'this'): string {
  const names = ['', other, self, `${self}/${other} (95 %)`, `${self}/${self} (95 %)`, 'pairs', '']
  const rows = comparisons.map(({ part, otherUs, thisUs, ratio, itself, pairs }) => [
    part,
    `${otherUs.toFixed(2)} us`,
    thisUs.toFixed(2),
    interval(ratio),
    interval(itself),
    String(pairs),
    conclusion(ratio),
  ])
  return formatTable(names, rows, 60)
}

function interval({ low, mean, high }: MeanRatio): string {
  return `${mean.toFixed(3)} (${low.toFixed(3)}-${high.toFixed(3)})`
}

async function compareApis(
  part: 'api' | 'batch',
  clients: (typeof CLIENTS)['api'],
  bench: Compare,
): Promise<Comparison> {
  const { pipeline } = await startStack()
  try {
    let accepted = 0
    const runOf = async (root: string): Promise<Run> => {
      const main = mainIn(root, 'producer-api/main.ts')
      const api: NodeService = await pinService(pipeline.startService(main, 'PORT'), MEASURED_CORE)
      return async () => {
        const span = spanOf(bench.seconds)
        const result = await saturate(api.pid ?? 0, { url: api.url, ...clients, ...span, isBaseline: false })
        accepted += result.accepted
        return result.cpuUs
      }
    }
    const variants = { other: await runOf(bench.other), this: await runOf(ROOT), again: await runOf(ROOT) }
    const comparison = await untilResolved(part, variants, bench)
    const stored = await eventsInTopic(pipeline)
    if (stored !== accepted) throw new Error(`the topic holds ${stored} events, ${accepted} were accepted`)
    return comparison
  } finally {
    await pipeline.close()
  }
}

async function compareSinks(bench: Compare): Promise<Comparison> {
  const stack = await startStack({ KAFKA_TOPIC_PARTITIONS: '4' })
  try {
    const backlog = backlogOf(bench.rows)
    await writeBacklog(stack.pipeline, backlog.records)
    const runOf = (root: string): Run => {
      const main = mainIn(root, 'sink-worker/main.ts')
      return async () => {
        const { cpuUs } = await drainBySink(stack, main, backlog)
        const stored = await stack.pipeline.countEvents()
        if (stored !== backlog.records) throw new Error(`${backlog.records} records became ${stored} rows`)
        return cpuUs
      }
    }
    return await untilResolved(
      'sink',
      { other: runOf(bench.other), this: runOf(ROOT), again: runOf(ROOT) },
      bench,
    )
  } finally {
    await stack.pipeline.close()
  }
}

/** The program of a checkout, as a path from this one. */
function mainIn(root: string, main: string): string {
  return relative(ROOT, join(root, main))
}

/** @param all the results of each variant, by round */
export function comparisonOf(part: string, all: Readonly<Record<keyof Variants, number[]>>): Comparison {
  return {
    part,
    otherUs: quartiles(all.other).median,
    thisUs: quartiles(all.this).median,
    ratio: meanRatio(ratios(all.this, all.other)),
    itself: meanRatio(ratios(all.again, all.this)),
    pairs: all.this.length,
  }
}

/** Runs the variants until the interval says which it is, and at most `rounds` times. */
export async function untilResolved(part: string, variants: Variants, bench: Bench): Promise<Comparison> {
  const all: Record<keyof Variants, number[]> = { other: [], this: [], again: [] }
  for (;;) {
    const results = await inTurns(STEP, variants, () => {})
    for (const name of ['other', 'this', 'again'] as const) all[name].push(...results[name])
    const comparison = comparisonOf(part, all)
    const { ratio, itself, pairs } = comparison
    bench.say(`${part}, ${pairs} pairs: ${interval(ratio)}; with itself ${interval(itself)}`)
    const isDone = pairs >= LEAST_PAIRS && conclusion(ratio) !== 'unresolved'
    if (isDone || pairs >= bench.rounds) return comparison
  }
}

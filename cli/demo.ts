import { availableParallelism } from 'node:os'
import { writeFileSync } from 'node:fs'
import { Screen } from '../platform/screen.ts'
import { UsageError } from '../platform/usage-error.ts'
import { abortable } from '../tools/stack/abortable.ts'
import { type DemoPlan, type DemoReport, runDemo } from '../tools/demo/demo.ts'
import { type DemoStack, startComposeStack, startEmbeddedStack } from '../tools/demo/demo-stack.ts'
import { verdictLine } from '../tools/demo/outage-verdict.ts'
import { decimal, summaryLines } from '../tools/demo/timeline-text.ts'
import { timelineSvg } from '../tools/demo/timeline-svg.ts'
import { newCommand } from './command.ts'
import { EXIT_STOPPED, stopOnSignal } from './stop-on-signal.ts'

interface Values {
  embedded?: true
  rate: string
  outage?: string
  svg?: string
}

export const command = newCommand(
  'demo',
  'Stops PostgreSQL under load, starts it again, and compares every 202 with the table.',
)
  .option('--embedded', 'without Docker: Kafka and PostgreSQL as child processes (takes about a minute)')
  .option('--rate <N>', 'requests per second', '1000')
  .option('--outage <N>', 'seconds without PostgreSQL (30; with --embedded 20)')
  .option('--svg <FILE>', 'also draw the timeline')
  .addHelpText(
    'after',
    `
It starts a separate stack on free ports, and removes it at the end, even after Ctrl-C.
Exit code 0: every acknowledged event is stored once. 1: one is not, or the demo could not run. 64: wrong usage.
130: Ctrl-C.`,
  )
  .action(async (values: Values) => process.exit(await main(values, planOf(values))))

/** How long closing the stack may take; after that, the stack's own guards end it. */
const CLOSE_LIMIT_MS = 60_000

const screen = new Screen(process.stdout)
async function main(values: Values, plan: DemoPlan): Promise<number> {
  const stop = stopOnSignal(() => {
    screen.live('')
    screen.say('Stopping everything (press Ctrl-C again to exit immediately)')
  })
  let stack: Promise<DemoStack> | undefined
  let code = 1
  try {
    stack = start(values, stop)
    const report = await runDemo(await abortable(stack, stop), plan, screen, stop)
    print(report, plan, (await stack).name, values.svg)
    code = report.verdict.ok ? 0 : 1
  } catch (error) {
    screen.live('')
    if (!stop.aborted) console.error(error instanceof Error ? error.message : String(error))
  }
  await close(stack)
  return stop.aborted ? EXIT_STOPPED : code
}

/** @throws {UsageError} */
function planOf(values: Values): DemoPlan {
  const number = (name: 'rate' | 'outage', given: string, max: number): number => {
    const value = Number(given)
    if (value >= 1 && value <= max) return value
    throw new UsageError(`--${name} must be a number from 1 to ${max}, not "${given}".`)
  }
  const outageS = number('outage', values.outage ?? (values.embedded ? '20' : '30'), 3_600)
  const rate = number('rate', values.rate, 20_000)
  return { rate, warmUpS: 5, beforeS: 7, outageS, afterS: values.embedded ? 8 : 10 }
}

async function start({ embedded }: Values, signal: AbortSignal): Promise<DemoStack> {
  const beganMs = performance.now()
  screen.say(
    embedded
      ? 'Starting Kafka, PostgreSQL, the API and the sink on this machine'
      : 'Building the images and starting the stack with docker compose (the first time takes minutes)',
  )
  const stack = await (embedded
    ? startEmbeddedStack()
    : startComposeStack((line) => screen.live(line), signal))
  if (signal.aborted) return stack
  screen.live('')
  screen.say(`Ready in ${decimal((performance.now() - beganMs) / 1000)} s: ${stack.apiUrl}\n`)
  return stack
}

function print(
  { timeline, summary, verdict, load }: DemoReport,
  plan: DemoPlan,
  stack: string,
  svg: string | undefined,
): void {
  for (const line of summaryLines(summary, load.errors)) screen.say(line)
  if (svg !== undefined) {
    const cores = availableParallelism()
    const facts = { verdict, summary, rate: plan.rate, stack, cores, date: new Date() }
    writeFileSync(svg, timelineSvg(timeline, facts))
    screen.say(`Picture: ${svg}`)
  }
  for (const problem of verdict.problems) screen.say(`PROBLEM  ${problem}`)
  screen.say(`\n${verdictLine(verdict)}`)
}

/** Closes the stack, even if it is still starting. */
async function close(stack: Promise<DemoStack> | undefined): Promise<void> {
  const closed = stack?.then(
    async (started) => await started.close(),
    () => {}, // the failure was printed, and the stack has cleaned up after itself
  )
  const limit = AbortSignal.timeout(CLOSE_LIMIT_MS)
  await abortable(closed ?? Promise.resolve(), limit).catch((error: Error) => console.error(error.message))
}

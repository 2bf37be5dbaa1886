import { randomInt } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { Screen } from '../platform/screen.ts'
import { UsageError } from '../platform/usage-error.ts'
import { runningCommit } from '../tools/drill/commit.ts'
import { COMPOSE_KINDS } from '../tools/drill/compose-stage.ts'
import { drill, type StageName } from '../tools/drill/drill.ts'
import { deck, KINDS } from '../tools/drill/plan.ts'
import { DrillRecord, judgeAll } from '../tools/drill/record.ts'
import { countByMoment, drillPage, verdictLine } from '../tools/drill/report.ts'
import type { FaultReport, Stretch } from '../tools/drill/stretch.ts'
import { backendName } from '../tools/stack/backends.ts'
import { newCommand } from './command.ts'
import { EXIT_STOPPED, stopOnSignal } from './stop-on-signal.ts'
import { formatTable } from '../platform/table.ts'

const screen = new Screen(process.stdout)

interface Values {
  seed?: string
  faults: string
  compose?: true
  rate: string
  state?: string
  report?: true
  page?: string
}

/** The command line, checked. */
interface Drill extends Pick<Values, 'state' | 'report' | 'page'> {
  stage: StageName
  seeds: number[]
  count: number
  rate: number
}

export const command = newCommand(
  'drill',
  'Injects faults under load into a separate stack, and compares every 202 with the table.',
)
  .option(
    '--seed <SEEDS>',
    'seed of the plan, or a range such as 1-4, run in order; the same seed gives the same faults (a random one)',
  )
  .option(
    '--faults <N>',
    `number of faults in each plan; ${deck().length} cover every kind at every moment once`,
    '10',
  )
  .option(
    '--compose',
    `use the containers of docker-compose.yml, under a separate project name and on free ports \
(${deck(COMPOSE_KINDS).length} faults cover every kind; those that need proxies in the stack are left out)`,
  )
  .option('--rate <N>', 'events per second', '200')
  .option('--state <FILE>', 'save the results; a later run continues from there and reports all of them')
  .option('--report', 'only report the results in FILE')
  .option('--page <FILE>', 'also write the report as Markdown')
  .addHelpText(
    'after',
    `
Without --compose, Kafka and PostgreSQL are child processes on free ports of 127.0.0.1, or containers with
FIREHOSE_BACKEND=containers; the API and two sinks are processes. The load has events of all shapes. Proxies between
them inject faults at exact moments of a transaction; timeouts are short. A fault takes about 5 s, with --compose 30 s.
It counts only if its effect was observed: a dead process, a frozen process that no longer answers, a broken connection,
a paused sink. After every 20 faults, and after a fault from which the stack does not recover, every acknowledged event
and every record in Kafka is compared with the tables. A problem ends the drill, stays in FILE, and fails every later
report; the data of that stack is kept. Otherwise the stack is removed; Ctrl-C stops cleanly.
Exit code 0: no event is lost or stored twice, and FILE holds no problems. 1: otherwise, or the drill could not run.
64: wrong usage. 130: Ctrl-C.`,
  )
  .action(async (values: Values) => process.exit(await main(drillOf(values))))

/** @throws {UsageError} @throws {ConfigError} */
function drillOf({ seed, faults, compose, rate, ...others }: Values): Drill {
  backendName() // reports a mistake before anything starts
  return {
    ...others,
    stage: compose ? 'compose' : 'embedded',
    seeds: seedsOf(seed ?? String(randomInt(1, 1_000_000))),
    count: numberOf('faults', faults),
    rate: numberOf('rate', rate),
  }
}

async function main(asked: Drill): Promise<number> {
  const signal = stopOnSignal(() => {
    screen.live('')
    screen.say('Stopping everything (press Ctrl-C again to exit immediately)')
  })
  try {
    const record = new DrillRecord(asked.state, asked.stage)
    if (!asked.report) await runSeeds(asked, record, signal)
    return report(asked, record)
  } catch (error) {
    screen.live('')
    if (signal.aborted) return EXIT_STOPPED
    console.error(error instanceof Error ? error.message : String(error))
    return 1
  }
}

async function runSeeds(
  { stage, seeds, count, rate }: Drill,
  record: DrillRecord,
  signal: AbortSignal,
): Promise<void> {
  const commit = runningCommit()
  for (const seed of seeds) {
    const from = record.done(seed)
    if (from >= count) continue
    screen.say(`Seed ${seed}: starting the stack`)
    const isFine = await drill({
      stage,
      seed,
      from,
      to: count,
      rate,
      signal,
      onLog: (line) => screen.live(line),
      onFault: (fault) => screen.say(faultLine(seed, count, fault)),
      onStretch: (stretch) => {
        record.add({ ...stretch, commit })
        screen.say(stretchLine(stretch))
      },
    })
    if (!isFine) return
  }
}

/** @throws {UsageError} */
function seedsOf(text: string): number[] {
  const [, first, last = first] = /^(\d+)(?:-(\d+))?$/.exec(text) ?? []
  const [from, to] = [Number(first), Number(last)]
  if (!(from <= to)) throw new UsageError(`--seed must be a number or a range such as 1-4, not "${text}".`)
  return Array.from({ length: to - from + 1 }, (_, index) => from + index)
}

/** @throws {UsageError} */
function numberOf(name: string, given: string): number {
  const value = Number(given)
  if (Number.isInteger(value) && value >= 1 && value <= 100_000) return value
  throw new UsageError(`--${name} must be a whole number from 1 to 100000, not "${given}".`)
}

function faultLine(seed: number, count: number, fault: FaultReport): string {
  const { index, kind, moment } = fault
  const place = `${seed}: ${String(index + 1).padStart(String(count).length)}/${count}`
  const name = moment === 'under_load' ? kind : `${kind} ${moment}`
  return `${place}  ${name.padEnd(45)} ${outcome(fault)}`
}

function outcome({ evidence, recovered_ms, skipped }: FaultReport): string {
  if (skipped !== undefined) return `skipped: ${skipped}`
  const seconds = recovered_ms === null ? undefined : (recovered_ms / 1000).toFixed(1)
  const end = seconds === undefined ? 'NOT RECOVERED' : `recovered after ${seconds} s`
  return `${evidence ?? 'NOT OBSERVED'}; ${end}`
}

function stretchLine({ acked, stored, lost, twice, problems, kept }: Stretch): string {
  const line = `   compared: ${acked} acknowledged during these faults, ${stored} stored in total, ${lost} lost, ${twice} twice`
  const place = kept === undefined ? [] : [`   The data is kept in ${kept}`]
  return [line, ...problems.map((problem) => `   PROBLEM  ${problem}`), ...place].join('\n')
}

function report({ stage, page }: Drill, { stretches }: DrillRecord): number {
  const kinds = stage === 'compose' ? COMPOSE_KINDS : KINDS
  const { names, rows } = countByMoment(stretches, kinds)
  screen.say(`\n${formatTable(names, rows, 40)}`)
  const verdict = judgeAll(stretches)
  for (const problem of verdict.problems) screen.say(`PROBLEM  ${problem}`)
  if (page !== undefined) writeFileSync(page, drillPage(stretches, kinds))
  screen.say(`\n${verdictLine(verdict)}`)
  return verdict.ok ? 0 : 1
}

// `npm run drill`: injects faults under load, and checks that no event is lost or stored twice.
import { randomInt } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { Screen } from '../platform/screen.ts'
import { UserError } from '../embedded/user-error.ts'
import { runningCommit } from '../tools/drill/commit.ts'
import { COMPOSE_KINDS } from '../tools/drill/compose-stage.ts'
import { drill, type StageName } from '../tools/drill/drill.ts'
import { deck, KINDS } from '../tools/drill/plan.ts'
import { DrillRecord, judgeAll } from '../tools/drill/record.ts'
import { countByMoment, drillPage, verdictLine } from '../tools/drill/report.ts'
import type { FaultReport, Stretch } from '../tools/drill/stretch.ts'
import { parseArgsOrExit } from './args.ts'
import { EXIT_STOPPED, stopOnSignal } from './stop-on-signal.ts'
import { formatTable } from '../platform/table.ts'

const HELP = `Injects faults under load into a separate stack, and compares every 202 with the table.

npm run drill -- [options]
  --seed N[-M]    seeds of the plans, run in order; the same seed gives the same faults (a random one)
  --faults N      number of faults in each plan (10; ${deck().length} cover every kind at every moment once)
  --compose       use the containers of docker-compose.yml, under a separate project name and on free ports
                  (${deck(COMPOSE_KINDS).length} faults cover every kind; those that need proxies in the stack are left out)
  --rate N        events per second (200)
  --state FILE    save the results; a later run continues from there and reports all of them
  --report        only report the results in FILE
  --page FILE     also write the report as Markdown
  --help

Without --compose, Kafka and PostgreSQL are child processes on free ports of 127.0.0.1, or containers with
FIREHOSE_BACKEND=containers; the API and two sinks are processes. Proxies between them inject faults at exact moments of
a transaction; timeouts are short. A fault takes about 5 s, with --compose 30 s. It counts only if its effect was
observed: a dead process, a frozen process that no longer answers, a broken connection, a paused sink. After every 20
faults, and after a fault from which the stack does not recover, every acknowledged event and every record in Kafka is
compared with the tables. A problem ends the drill, stays in FILE, and fails every later report; the data of that stack
is kept. Otherwise the stack is removed; Ctrl-C stops cleanly.
Exit code 0: no event is lost or stored twice, and FILE holds no problems. 1: otherwise, or the drill could not run.
130: Ctrl-C.
`

const screen = new Screen(process.stdout)
const { values } = parseArgsOrExit({
  options: {
    seed: { type: 'string', default: String(randomInt(1, 1_000_000)) },
    faults: { type: 'string', default: '10' },
    compose: { type: 'boolean', default: false },
    rate: { type: 'string', default: '200' },
    state: { type: 'string' },
    report: { type: 'boolean', default: false },
    page: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})

const stage: StageName = values.compose ? 'compose' : 'embedded'
const kinds = values.compose ? COMPOSE_KINDS : KINDS

if (values.help) process.stdout.write(HELP)
else process.exit(await main())

async function main(): Promise<number> {
  const signal = stopOnSignal(() => {
    screen.live('')
    screen.say('Stopping everything (press Ctrl-C again to exit immediately)')
  })
  try {
    const record = new DrillRecord(values.state, stage)
    if (!values.report) await runSeeds(record, signal)
    return report(record)
  } catch (error) {
    screen.live('')
    if (signal.aborted) return EXIT_STOPPED
    console.error(error instanceof Error ? error.message : String(error))
    return 1
  }
}

async function runSeeds(record: DrillRecord, signal: AbortSignal): Promise<void> {
  const count = number('faults', values.faults)
  const rate = number('rate', values.rate)
  const commit = runningCommit()
  for (const seed of seeds()) {
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

/** @throws {UserError} */
function seeds(): number[] {
  const [, first, last = first] = /^(\d+)(?:-(\d+))?$/.exec(values.seed) ?? []
  const [from, to] = [Number(first), Number(last)]
  if (!(from <= to))
    throw new UserError(`--seed must be a number or a range such as 1-4, not "${values.seed}".`)
  return Array.from({ length: to - from + 1 }, (_, index) => from + index)
}

/** @throws {UserError} */
function number(name: string, given: string): number {
  const value = Number(given)
  if (Number.isInteger(value) && value >= 1 && value <= 100_000) return value
  throw new UserError(`--${name} must be a whole number from 1 to 100000, not "${given}".`)
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

function report({ stretches }: DrillRecord): number {
  const { names, rows } = countByMoment(stretches, kinds)
  screen.say(`\n${formatTable(names, rows, 40)}`)
  const verdict = judgeAll(stretches)
  for (const problem of verdict.problems) screen.say(`PROBLEM  ${problem}`)
  if (values.page !== undefined) writeFileSync(values.page, drillPage(stretches, kinds))
  screen.say(`\n${verdictLine(verdict)}`)
  return verdict.ok ? 0 : 1
}

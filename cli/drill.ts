// A fault rehearsal: everything is broken, under load, and nothing may be lost or stored twice.
import { randomInt } from 'node:crypto'
import { Screen } from '../runtime/screen.ts'
import { UserError } from '../embedded/user-error.ts'
import { COMPOSE_KINDS } from '../proof/drill/compose-stage.ts'
import { drill, type FaultReport, type StageName, type Stretch } from '../proof/drill/drill.ts'
import { deck, KINDS } from '../proof/drill/plan.ts'
import { countByMoment, DrillRecord, judgeAll } from '../proof/drill/record.ts'
import { parseArgsOrExit } from './args.ts'
import { formatTable } from './table.ts'

const HELP = `Breaks everything, under load, on a stack of its own, and compares every 202 with the table.

npm run drill -- [options]
  --seed N[-M]    seeds of the plans, one after the other; the same seed gives the same faults (a random one)
  --faults N      faults of each seed's plan (10; ${deck().length} are all kinds at all moments once)
  --compose       on the containers of docker-compose.yml, under a name and on ports of their own
                  (${deck(COMPOSE_KINDS).length} are all kinds: what needs proxies within the stack is left out)
  --rate N        events a second (200)
  --state FILE    keep what was done; a later run goes on from there and reports the whole
  --report        only report what FILE holds
  --help

Without --compose, Kafka and PostgreSQL are child processes on free ports of 127.0.0.1, or containers with
FIREHOSE_BACKEND=containers; the API and two sinks are processes. Proxies between them aim at moments of a
transaction, timeouts are short. A fault takes about 5 s, with --compose 30 s. It counts only if its effect was
observed: a dead process, a failed probe, a broken connection, a paused sink. After every 20 faults all that was
acknowledged and all that Kafka holds is compared with the tables. Ctrl-C stops; nothing of the stack stays.
Exit code 0: nothing lost, nothing twice. 1: not so, or the drill could not run. 130: Ctrl-C.
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
    help: { type: 'boolean', default: false },
  },
})

const stage: StageName = values.compose ? 'compose' : 'embedded'

if (values.help) process.stdout.write(HELP)
else process.exit(await main())

async function main(): Promise<number> {
  const stop = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => stop.abort())
  try {
    const record = new DrillRecord(values.state, stage)
    if (!values.report) await runSeeds(record, stop.signal)
    return report(record)
  } catch (error) {
    screen.live('')
    if (stop.signal.aborted) return 130
    console.error(error instanceof Error ? error.message : String(error))
    return 1
  }
}

async function runSeeds(record: DrillRecord, signal: AbortSignal): Promise<void> {
  const count = number('faults', values.faults)
  const rate = number('rate', values.rate)
  for (const seed of seeds()) {
    const from = record.done(seed)
    if (from >= count) continue
    screen.say(`Seed ${seed}: starting the stack`)
    await drill({
      stage,
      seed,
      from,
      to: count,
      rate,
      signal,
      onLog: (line) => screen.live(line),
      onFault: (fault) => screen.say(faultLine(seed, count, fault)),
      onStretch: (stretch) => {
        record.add(stretch)
        screen.say(stretchLine(stretch))
      },
    })
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

function faultLine(
  seed: number,
  count: number,
  { index, kind, moment, evidence, recovered_ms }: FaultReport,
): string {
  const place = `${seed}: ${String(index + 1).padStart(String(count).length)}/${count}`
  const what = moment === 'under_load' ? kind : `${kind} ${moment}`
  return `${place}  ${what.padEnd(45)} ${evidence ?? 'NOT OBSERVED'}; well again after ${(recovered_ms / 1000).toFixed(1)} s`
}

function stretchLine({ acked, stored, lost, twice, problems }: Stretch): string {
  const line = `   compared: ${acked} acknowledged under these faults, ${stored} stored in all, ${lost} lost, ${twice} twice`
  return [line, ...problems.map((problem) => `   PROBLEM  ${problem}`)].join('\n')
}

function report({ stretches }: DrillRecord): number {
  const { names, rows } = countByMoment(stretches, stage === 'compose' ? COMPOSE_KINDS : KINDS)
  screen.say(`\n${formatTable(names, rows, 40)}`)
  const { ok, seeds: run, faults, observed, acked, lost, twice, problems } = judgeAll(stretches)
  for (const problem of problems) screen.say(`PROBLEM  ${problem}`)
  screen.say(
    `\n${ok && observed > 0 ? 'OK' : 'FAILED'}: ${lost} lost, ${twice} twice over ${observed} observed faults` +
      ` (of ${faults}; seeds ${run.join(', ')}; ${acked} acknowledged events).`,
  )
  return ok && observed > 0 ? 0 : 1
}

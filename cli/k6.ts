import { readdirSync } from 'node:fs'
import { compareK6 } from '../tools/k6/k6-compare.ts'
import { K6Output } from '../tools/k6/k6-output.ts'
import { findK6, startK6 } from '../tools/k6/k6-process.ts'
import type { K6Verdict } from '../tools/k6/k6-verdict.ts'
import { untilStored } from '../tools/verify/until-stored.ts'
import type { VerifyProgress } from '../tools/verify/verify.ts'
import { remediesFor } from '../tools/send/remedies.ts'
import { onEndRequest } from '../platform/signals.ts'
import { UsageError } from '../platform/usage-error.ts'
import { API_KEY_HELP } from './api-key.ts'
import { newCommand } from './command.ts'
import { checkTargets, type K6Targets, k6Targets } from './k6-targets.ts'
import { API_OPS_HELP, API_URL_HELP, checkUrl } from './service-url.ts'
import { progressLine } from './verify-progress.ts'
import { findingLine, messageOf } from './verify-text.ts'

const SCRIPTS = `
Scripts:
  event      one event per request at a constant rate           --rate 5000 --duration 60s --vus 1000
  batch      many events per request at a constant rate         --rate 50 --batch 100 --duration 60s --vus 200
  clients    1,000 clients at once, each waits for its answer   --vus 1000 --duration 30s
  ramp       a rising rate, to find the limit                   --rate 8000 --step 1000 --duration 10s --vus 1000
  outage     a constant rate while you stop the database        --rate 1000 --duration 120s --vus 500

It uses the k6 named by the variable K6 or found in PATH, else the container image grafana/k6:2.2.0 (or K6_IMAGE).
Kafka and the database are those of firehose verify: KAFKA_BOOTSTRAP_SERVERS (127.0.0.1:19092) and the other KAFKA_
settings, DATABASE_URL, else PG* (the database of firehose start and docker compose). Before the comparison it waits
until the sink has stored what is in Kafka, or has stored nothing for 60 s. Ctrl-C ends k6 early, and after that the
wait; the comparison still follows, which Ctrl-C also ends.

${API_KEY_HELP}
outage also reads the API's /health. ${API_OPS_HELP}
Exit code 0: all thresholds of the script are met, every acknowledged event is stored once with its content, and verify
has no problem. 64: wrong usage. 78: wrong settings. Else 1.`

const STUCK_MS = 60_000
/** The time between two progress lines if there is no terminal. */
const LINE_MS = 4500
const THRESHOLDS_FAILED = 99
const ENDED_BY_SIGNAL = 105

interface Values {
  rate?: string
  duration?: string
  vus?: string
  batch?: string
  step?: string
  p99?: string
  url?: string
  sink?: string
}

export const command = newCommand(
  'k6',
  `Runs a k6 script from the folder k6/, then compares what it sent, and the whole topic, with the tables, as
firehose verify does.`,
)
  .argument('[script]', 'one of those below')
  .option('--rate <N>', 'requests per second (ramp: in the last stage)')
  .option('--duration <T>', 'how long (ramp: each stage), such as 30s or 1m30s')
  .option('--vus <N>', 'virtual users: the most concurrent requests')
  .option('--batch <N>', 'events per request (batch)')
  .option('--step <N>', 'increase in requests per second from stage to stage (ramp)')
  .option('--p99 <MS>', 'bound for the 99th percentile of the latency (500; batch 1000, clients 2000)')
  .option('--url <URL>', API_URL_HELP)
  .option(
    '--sink <URL>',
    "base URL of the sink's health (outage; SINK_URL, else http://127.0.0.1:8001 or the port SINK_PORT)",
  )
  .addHelpText('after', SCRIPTS)
  .action(async (name: string | undefined, values: Values) => {
    const script = scriptOf(name)
    checkOptions(script, values)
    const targets = k6Targets(script, values)
    try {
      process.exitCode = await main(script, settingsOf(values, targets), targets)
    } catch (error) {
      process.stderr.write(`${messageOf(error)}\n`)
      process.exitCode = 1
    }
  })

async function main(script: string, settings: Record<string, string>, targets: K6Targets): Promise<number> {
  const k6 = findK6(process.env)
  const { api, stores } = targets
  await checkTargets(targets)
  say(`${k6.name} runs k6/${script}.ts against ${api.url}. Ctrl-C ends it early.`)

  const output = new K6Output()
  const live = liveLine()
  const running = startK6(k6, {
    script,
    settings,
    key: api.key,
    onOut: (line) => {
      const { show, progress } = output.out(line)
      if (progress !== undefined) live.progress(progress)
      if (show !== undefined) live.say(show)
    },
    onErr: (line) => {
      const shown = output.err(line)
      if (shown !== undefined) live.say(shown)
    },
  })
  let onSignal = running.interrupt
  onEndRequest({ first: () => onSignal(), again: () => onSignal() })
  const abortOnSignal = (): AbortSignal => {
    const stop = new AbortController()
    onSignal = () => stop.abort(new Error('Stopped without a verdict.'))
    return stop.signal
  }
  const onProgress = (now: VerifyProgress): void => live.progress(progressLine(now, 0))
  const code = await running.done
  live.end()
  const { report, notAcknowledged, interrupted } = output
  const stopWaiting = abortOnSignal()
  if (report === undefined) throw new Error(`k6 ended with exit code ${code} and without a report.`)

  let verdict: K6Verdict
  try {
    await untilStored(stores, {
      stuckMs: STUCK_MS,
      signal: stopWaiting,
      onWait: (text) => live.progress(text),
    })
    const options = { ...stores, onProgress, signal: abortOnSignal() }
    verdict = await compareK6({ report, notAcknowledged, interrupted }, options)
  } finally {
    live.end()
  }
  const broken = [...report.broken]
  if (![0, THRESHOLDS_FAILED, ENDED_BY_SIGNAL].includes(code)) broken.push(`k6 ended with exit code ${code}`)
  print(verdict, broken)
  for (const remedy of remediesFor([...output.statuses])) process.stderr.write(`${remedy}\n`)
  return verdict.ok && broken.length === 0 ? 0 : 1
}

/** @throws {UsageError} */
function scriptOf(name: string | undefined): string {
  const scripts = readdirSync(new URL('../k6', import.meta.url))
    .filter((file) => file.endsWith('.ts'))
    .map((file) => file.slice(0, -'.ts'.length))
  if (name !== undefined && scripts.includes(name)) return name
  const problem = name === undefined ? 'A script is missing' : `There is no script ${name}`
  throw new UsageError(`${problem}; the scripts are ${scripts.join(', ')}.`)
}

/** Checks the options here, because k6's own messages are long. @throws {UsageError} */
function checkOptions(script: string, values: Values): void {
  checkUrl('--url', values.url)
  checkUrl('--sink', values.sink)
  for (const name of ['rate', 'vus', 'batch', 'step', 'p99'] as const) {
    const value = values[name]
    if (value !== undefined && !/^[1-9]\d*$/.test(value)) {
      throw new UsageError(`--${name} must be an integer of 1 or more, not ${value}.`)
    }
  }
  if (values.duration !== undefined && !/^(\d+[hms])+$/.test(values.duration)) {
    throw new UsageError(`--duration must be a duration such as 30s or 1m30s, not ${values.duration}.`)
  }
  for (const [name, owner] of [
    ['batch', 'batch'],
    ['step', 'ramp'],
    ['sink', 'outage'],
  ] as const) {
    if (values[name] !== undefined && script !== owner)
      throw new UsageError(`--${name} is an option of ${owner} only.`)
  }
  if (values.rate !== undefined && script === 'clients') {
    throw new UsageError(
      'clients has no --rate: each client sends its next request as soon as it has an answer.',
    )
  }
}

function settingsOf(values: Values, { api, watched }: K6Targets): Record<string, string> {
  const given = {
    RATE: values.rate,
    DURATION: values.duration,
    VUS: values.vus,
    BATCH: values.batch,
    STEP: values.step,
    P99_MS: values.p99,
    ...watched,
    API_URL: api.url,
    RUN_START: String(Date.now()),
    RUN_RANDOM: String(Math.floor(Math.random() * 2 ** 48)),
    REPORT: '1',
  }
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as Record<
    string,
    string
  >
}

/** Output for people: results on stdout, progress on stderr. On a terminal, progress overwrites a single line. */
function liveLine() {
  const isTerminal = process.stderr.isTTY
  let open = false
  let shownMs = Number.NEGATIVE_INFINITY
  const end = () => {
    if (open) process.stderr.write('\n')
    open = false
  }
  return {
    end,
    say(text: string) {
      end()
      say(text)
    },
    progress(text: string) {
      if (isTerminal) {
        process.stderr.write(`\r\u001b[K${text}`)
        open = true
      } else if (performance.now() - shownMs >= LINE_MS) {
        process.stderr.write(`${text}\n`)
        shownMs = performance.now()
      }
    },
  }
}

function print({ rows, findings, problems, sentence, ok }: K6Verdict, broken: string[]): void {
  say('\nCompared with Kafka and PostgreSQL, event by event:')
  for (const [name, count] of rows) say(`  ${name.padEnd(34)}${count.toLocaleString('en-US').padStart(12)}`)
  for (const [kind, finding] of findings) say(`  ${findingLine(kind, finding)}`)
  for (const problem of problems) say(`  PROBLEM  ${problem}`)
  for (const threshold of broken) say(`  THRESHOLD FAILED  ${threshold}`)
  say(`\n${ok && broken.length === 0 ? 'OK' : 'NOT OK'}: ${sentence}`)
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

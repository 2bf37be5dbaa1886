import { keysFileSetting } from '../access/read-key-file.ts'
import { runChecks } from '../doctor/checks.ts'
import type { Progress } from '../doctor/facts.ts'
import { type CheckName, CHECKS, EXIT_CODES, type Finding, sortFindings, worstOf } from '../doctor/finding.ts'
import { type DoctorOptions, gather } from '../doctor/gather.ts'
import { formatReport } from '../doctor/report.ts'
import { dataDirSetting } from '../platform/data-dir.ts'
import { collectProblems, ConfigError, readSettings } from '../platform/env.ts'
import { EX_CONFIG } from '../platform/shutdown.ts'
import { UsageError } from '../platform/usage-error.ts'
import {
  deadLetterRetentionSetting,
  layoutSettings,
  retentionSetting,
} from '../postgres/partitions/settings.ts'
import { frontDoorSettings } from '../producer-api/front-door/settings.ts'
import { collect, newCommand } from './command.ts'
import { readSettingsOfSink } from './command-settings.ts'
import {
  API_OPS_HELP,
  API_URL_HELP,
  apiOpsUrl,
  apiUrl,
  checkUrl,
  maintainUrl,
  sinkUrl,
} from './service-url.ts'
import { endOnSignal } from './stop-on-signal.ts'

interface Values {
  json?: true
  check: string[]
  skip: string[]
  api?: string
  sink?: string
  maintain?: string
}

/** Of other services, as far as the checks need them. */
const otherSettings = {
  EVENTS_USER_INDEX: layoutSettings.EVENTS_USER_INDEX,
  EVENTS_RETENTION_DAYS: retentionSetting,
  DEAD_LETTERS_RETENTION_DAYS: deadLetterRetentionSetting,
  API_KEYS_FILE: keysFileSetting,
  KEY_EVENTS_PER_SECOND: frontDoorSettings.KEY_EVENTS_PER_SECOND,
}

export const command = newCommand(
  'doctor',
  `Checks Kafka, PostgreSQL, the API and the sink, and reports what would lose or delay events and how to fix it.
Changes nothing. Takes about 3 s, because it measures rates between two observations.`,
)
  .option('--json', 'for machines')
  .option('--check <NAME>', 'only this check; may be repeated', collect, [])
  .option('--skip <NAME>', 'not this check; may be repeated', collect, [])
  .option(
    '--api <URL>',
    `${API_URL_HELP}. If it does not answer, that is critical at an address that \
you give, and a warning at the default address while events are stored; use --skip api if it cannot be reached from here`,
  )
  .option('--sink <URL>', "a sink's own address (SINK_URL, else http://127.0.0.1:8001 or the port SINK_PORT)")
  .option(
    '--maintain <URL>',
    "the maintenance service's own address (MAINTAIN_URL, else http://127.0.0.1:8003 or the port MAINTAIN_PORT)",
  )
  .addHelpText(
    'after',
    `
Checks:
${Object.entries(CHECKS)
  .map(([name, what]) => `  ${name.padEnd(17)}${what}`)
  .join('\n')}

Environment: the settings of the services (see the README). ${API_OPS_HELP}
Exit code, as for monitoring plugins: 0 ok (notes are not alarms), 1 warning, 2 critical, 3 unknown. 64: wrong
usage. 78: wrong settings.`,
  )
  .action(async (values: Values) => {
    endOnSignal()
    for (const name of [...values.check, ...values.skip]) checkName(name)
    try {
      const options = optionsOf(values)
      // Do not wait for connections to servers that hang.
      process.exit(await main(values, options))
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      await unknown(error.report.trimEnd())
      process.exit(EX_CONFIG)
    }
  })

async function main(values: Values, options: DoctorOptions): Promise<number> {
  try {
    const facts = await gather(options)
    const findings = chosen(runChecks(facts), values.check, values.skip)
    await write(
      values.json
        ? json(findings, facts.comparison?.ok === true ? facts.comparison.value.progress : undefined)
        : formatReport(findings),
    )
    return EXIT_CODES[worstOf(findings)]
  } catch (error) {
    await unknown((error as Error).message)
    return EXIT_CODES.unknown
  }
}

/** @throws {UsageError} @throws {ConfigError} that lists every mistake */
function optionsOf(given: Values): DoctorOptions {
  checkUrl('--api', given.api)
  checkUrl('--sink', given.sink)
  checkUrl('--maintain', given.maintain)
  const problems: string[] = []
  const config = collectProblems(problems, readSettingsOfSink)
  const api = collectProblems(problems, () => apiUrl(given.api))
  const opsUrl = collectProblems(problems, () => apiOpsUrl(api?.url, given.api))
  const sink = collectProblems(problems, () => sinkUrl(given.sink))
  const maintain = collectProblems(problems, () => maintainUrl(given.maintain))
  const others = collectProblems(problems, () => readSettings(otherSettings, process.env))
  if (
    config === undefined ||
    api === undefined ||
    opsUrl === undefined ||
    sink === undefined ||
    maintain === undefined ||
    others === undefined
  )
    throw new ConfigError(problems)
  return {
    kafka: config.kafka,
    databaseUrl: config.database.connectionString,
    databaseAddress: config.databaseAddress,
    topic: config.topic.name,
    groupId: config.groupId,
    sessionTimeoutMs: config.sessionTimeoutMs,
    startDir: readSettings({ FIREHOSE_DIR: dataDirSetting }, process.env).FIREHOSE_DIR,
    api: { ...api, opsUrl },
    sink,
    maintain,
    userIndex: others.EVENTS_USER_INDEX,
    retentionDays: others.EVENTS_RETENTION_DAYS,
    deadLetterDays: others.DEAD_LETTERS_RETENTION_DAYS,
    keysFile: others.API_KEYS_FILE,
    keyEventsPerSecond: others.KEY_EVENTS_PER_SECOND,
  }
}

/** The findings of the chosen checks. A check named by --check that has no finding is unknown, so that it never seems ok. */
function chosen(all: readonly Finding[], only: readonly string[], skip: readonly string[]): Finding[] {
  const wanted = (name: string): boolean => (only.length === 0 || only.includes(name)) && !skip.includes(name)
  const found = new Set<string>(all.map(({ check }) => check))
  const missing = (Object.keys(CHECKS) as CheckName[]).filter(
    (name) => only.includes(name) && !found.has(name),
  )
  return sortFindings([
    ...all,
    ...missing.map(
      (check): Finding => ({
        check,
        level: 'unknown',
        text: 'This could not be checked: something that it needs does not answer or does not exist.',
        mend: 'Run the doctor without --check to find out what is missing.',
      }),
    ),
  ]).filter(({ check }) => wanted(check))
}

function checkName(name: string): asserts name is CheckName {
  if (Object.hasOwn(CHECKS, name)) return
  throw new UsageError(`There is no check "${name}": the checks are ${Object.keys(CHECKS).join(', ')}.`)
}

function json(findings: readonly Finding[], progress: Progress | undefined): string {
  const worst = worstOf(findings)
  const lag = progress && {
    records: progress.unread,
    oldest_s: Math.round(progress.oldestS),
    produced_per_s: progress.produced / progress.seconds,
    stored_per_s: progress.stored / progress.seconds,
  }
  return `${JSON.stringify({ status: worst, exit_code: EXIT_CODES[worst], lag: lag ?? null, findings }, null, 2)}\n`
}

/** Monitoring systems show standard output. */
async function unknown(problem: string): Promise<void> {
  await write(`FIREHOSE UNKNOWN: ${problem}\n`)
}

/** Resolves when the text is written: process.exit() would discard what a pipe has not accepted yet. */
async function write(text: string): Promise<void> {
  await new Promise((resolve) => process.stdout.write(text, resolve))
}

import { runChecks } from '../doctor/checks.ts'
import type { Progress } from '../doctor/facts.ts'
import { type CheckName, CHECKS, EXIT_CODES, type Finding, sortFindings, worstOf } from '../doctor/finding.ts'
import { type DoctorOptions, gather } from '../doctor/gather.ts'
import { formatReport } from '../doctor/report.ts'
import { apiSettings } from '../producer-api/config.ts'
import { dataDirSetting } from '../platform/data-dir.ts'
import { ConfigError, optionalText, readSettings } from '../platform/env.ts'
import { isHttpAddress, shownAddress } from '../platform/address.ts'
import { readSinkConfig } from '../sink-worker/config.ts'
import { collect, newCommand } from './command.ts'
import { endOnSignal } from './stop-on-signal.ts'

interface Values {
  json?: true
  check: string[]
  skip: string[]
  api?: string
  sink?: string
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
    `address of the API (API_URL, else http://127.0.0.1:8000). If it does not answer, that is critical at an address that \
you give, and a warning at the default address while events are stored; use --skip api if it cannot be reached from here`,
  )
  .option('--sink <URL>', "a sink's own address (SINK_URL, else http://127.0.0.1:8001)")
  .addHelpText(
    'after',
    `
Checks:
${Object.entries(CHECKS)
  .map(([name, what]) => `  ${name.padEnd(15)}${what}`)
  .join('\n')}

Environment: the settings of the services (see the README).
Exit code, as for monitoring plugins: 0 ok (notes are not alarms), 1 warning, 2 critical, 3 unknown (also: invalid
settings, and a check that does not exist). 64: wrong usage.`,
  )
  .action(async (values: Values) => {
    endOnSignal()
    // Do not wait for connections to servers that hang.
    process.exit(await main(values))
  })

async function main(values: Values): Promise<number> {
  try {
    for (const name of [...values.check, ...values.skip]) checkName(name)
    const facts = await gather(options(values.api, values.sink))
    const findings = chosen(runChecks(facts), values.check, values.skip)
    await write(
      values.json
        ? json(findings, facts.comparison?.ok === true ? facts.comparison.value.progress : undefined)
        : formatReport(findings),
    )
    return EXIT_CODES[worstOf(findings)]
  } catch (error) {
    const problems = error instanceof ConfigError ? error.problems : [(error as Error).message]
    await write(`FIREHOSE UNKNOWN: ${problems.join('\n')}\n`) // monitoring systems show standard output
    return EXIT_CODES.unknown
  }
}

/** @throws {ConfigError} */
function options(api: string | undefined, sink: string | undefined): DoctorOptions {
  const config = readSinkConfig(process.env)
  const { PORT, FIREHOSE_DIR, API_URL, SINK_URL } = readSettings(
    {
      PORT: apiSettings.PORT,
      FIREHOSE_DIR: dataDirSetting,
      API_URL: optionalText("The API's address"),
      SINK_URL: optionalText("A sink's address"),
    },
    process.env,
  )
  return {
    kafka: config.kafka,
    databaseUrl: config.database.connectionString,
    topic: config.topic.name,
    groupId: config.groupId,
    sessionTimeoutMs: config.sessionTimeoutMs,
    startDir: FIREHOSE_DIR,
    api: address('--api', api ?? API_URL, PORT),
    sink: address('--sink', sink ?? SINK_URL, config.port),
  }
}

function address(option: string, given: string | undefined, port: number): { url: string; named: boolean } {
  if (given !== undefined && !isHttpAddress(given)) {
    throw new ConfigError([
      `${option} must be an address such as http://127.0.0.1:${port}, not ${shownAddress(given)}`,
    ])
  }
  return { url: given ?? `http://127.0.0.1:${port}`, named: given !== undefined }
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
  throw new ConfigError([`There is no check "${name}": the checks are ${Object.keys(CHECKS).join(', ')}.`])
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

/** Resolves when the text is written: process.exit() would discard what a pipe has not accepted yet. */
async function write(text: string): Promise<void> {
  await new Promise((resolve) => process.stdout.write(text, resolve))
}

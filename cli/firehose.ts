// The command `firehose`: finds the command that the first word names, and starts only that one.
import { existsSync } from 'node:fs'
import { type Command, CommanderError } from 'commander'
import manifest from '../package.json' with { type: 'json' }
import { ConfigError } from '../platform/env.ts'
import { EX_CONFIG } from '../platform/shutdown.ts'
import { UsageError } from '../platform/usage-error.ts'
import { newCommand, tryHelp } from './command.ts'
import { completeEnvironment } from './environment.ts'

/** BSD sysexits.h: the command was used incorrectly. */
const EX_USAGE = 64

/** The groups of commands, as --help shows them. */
const GROUPS = {
  run: 'Run:',
  send: 'Send events:',
  prove: 'Prove that nothing is lost:',
  operate: 'Operate:',
  measure: 'Measure:',
  maintain: 'Maintain this repository:',
}

interface Row {
  group: keyof typeof GROUPS
  name: string
  /** One line of --help. */
  summary: string
  /** The file of the command; `command` has its options, its help and its action. */
  load: () => Promise<{ command: Command }>
  /** Not in the images: it needs more of the repository, or sends only to the machine that it runs on. */
  checkoutOnly?: boolean
}

/** All commands: one row and one file for each. */
export const COMMANDS: readonly Row[] = [
  {
    group: 'run',
    name: 'start',
    summary: 'everything on this machine: Kafka, PostgreSQL and the services',
    load: () => import('./start.ts'),
    checkoutOnly: true,
  },
  {
    group: 'run',
    name: 'api',
    summary: 'the HTTP API: accepts events and writes them to Kafka',
    load: () => import('./api.ts'),
  },
  {
    group: 'run',
    name: 'sink',
    summary: 'the sink worker: stores the events from Kafka in PostgreSQL',
    load: () => import('./sink.ts'),
  },
  {
    group: 'run',
    name: 'adopt',
    summary: 'reads stopped partitions from their first record: accepts the topic as it is now',
    load: () => import('./adopt.ts'),
  },
  {
    group: 'run',
    name: 'rewind',
    summary: 'reads records again, from an offset or from a time',
    load: () => import('./rewind.ts'),
  },
  {
    group: 'run',
    name: 'migrate',
    summary: 'creates or updates the tables',
    load: () => import('./migrate.ts'),
  },
  {
    group: 'run',
    name: 'sql',
    summary: 'a prompt for SQL, or one statement',
    load: () => import('./sql.ts'),
  },
  {
    group: 'send',
    name: 'send',
    summary: 'sends an event from options, or events from standard input',
    load: () => import('./send.ts'),
  },
  {
    group: 'send',
    name: 'load',
    summary: 'sends known events at a constant rate and counts the outcome of each',
    load: () => import('./load.ts'),
    checkoutOnly: true,
  },
  {
    group: 'send',
    name: 'k6',
    summary: 'runs a k6 script, and compares what it sent with the tables',
    load: () => import('./k6.ts'),
    checkoutOnly: true,
  },
  {
    group: 'prove',
    name: 'verify',
    summary: 'compares Kafka and the acknowledged events with the tables',
    load: () => import('./verify.ts'),
  },
  {
    group: 'prove',
    name: 'demo',
    summary: 'an outage of PostgreSQL under load, shown live',
    load: () => import('./demo.ts'),
    checkoutOnly: true,
  },
  {
    group: 'prove',
    name: 'drill',
    summary: 'faults of every kind under load, by a plan that a seed repeats',
    load: () => import('./drill.ts'),
    checkoutOnly: true,
  },
  {
    group: 'operate',
    name: 'doctor',
    summary: 'reports what would lose or delay events here, and how to fix it',
    load: () => import('./doctor.ts'),
  },
  {
    group: 'operate',
    name: 'dlq',
    summary: 'dead letters: list, show, replay, discard',
    load: () => import('./dlq.ts'),
  },
  {
    group: 'operate',
    name: 'keys',
    summary: 'the keys of clients: create, list, revoke, rotate',
    load: () => import('./keys.ts'),
  },
  {
    group: 'operate',
    name: 'maintain',
    summary: 'keeps the partitions of events: makes them ahead, deletes old ones, closes them',
    load: () => import('./maintain.ts'),
  },
  {
    group: 'operate',
    name: 'tail',
    summary: 'prints records as they arrive, without a consumer group',
    load: () => import('./tail.ts'),
  },
  {
    group: 'operate',
    name: 'where',
    summary: 'where an event is: its row, its dead letters, or not seen',
    load: () => import('./where.ts'),
  },
  {
    group: 'measure',
    name: 'bench',
    summary: 'what Firehose costs, as ratios to baselines',
    load: () => import('./bench.ts'),
    checkoutOnly: true,
  },
  {
    group: 'measure',
    name: 'profile',
    summary: 'the functions with the most self time, under load',
    load: () => import('./profile.ts'),
    checkoutOnly: true,
  },
  {
    group: 'maintain',
    name: 'settings',
    summary: "makes the README's table of settings from the code",
    load: () => import('./settings.ts'),
    checkoutOnly: true,
  },
  {
    group: 'maintain',
    name: 'schemas',
    summary: 'makes the JSON Schemas in schemas/ from the table of fields',
    load: () => import('./schemas.ts'),
    checkoutOnly: true,
  },
]

if (import.meta.main) await main(process.argv.slice(2))

/** @param words the command line after `firehose` */
async function main(words: readonly string[]): Promise<void> {
  endWithReader()
  const args = inFull(words)
  try {
    completeEnvironment(args[0])
    const program = await programFor(args[0])
    if (args.length === 0) program.help({ error: true })
    const isCommand = program.commands.some((each) => each.name() === args[0])
    // Of an unknown command only the name, or its --help would be that of the program.
    await program.parseAsync(isCommand ? args : args.slice(0, 1), { from: 'user' })
  } catch (error) {
    process.exitCode = report(error)
  }
}

/** Ends a command whose output nobody reads any more (`| head`) as SIGTERM does, so with all that it has started. */
function endWithReader(): void {
  let isEnding = false
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // Whoever listens as well says what was lost (keys), or goes on without its log (services).
    if (process.stdout.listenerCount('error') > 1) return
    if (error.code !== 'EPIPE') throw error
    if (!isEnding) process.kill(process.pid, 'SIGTERM')
    isEnding = true
  })
}

/** Prints what a command throws to end itself. @returns the exit code @throws any other error */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EX_USAGE
  if (error instanceof UsageError) process.stderr.write(tryHelp(error.message))
  else if (error instanceof ConfigError) process.stderr.write(error.report)
  else throw error
  return error instanceof UsageError ? EX_USAGE : EX_CONFIG
}

/** `help verify` is `verify --help`; `sink adopt` is `adopt`, and `sink rewind` is `rewind`. */
function inFull([first, ...rest]: readonly string[]): string[] {
  if (first === undefined) return []
  if (first === 'help') return [...rest, '--help']
  const at = first === 'sink' ? rest.findIndex((word) => word === 'adopt' || word === 'rewind') : -1
  return at === -1 ? [first, ...rest] : [...rest.splice(at, 1), ...rest]
}

/** The program with the command `name`, and with the names of the others for --help and suggestions. */
async function programFor(name: string | undefined): Promise<Command> {
  const program = newCommand(
    'firehose',
    'Firehose collects events over HTTP and stores each exactly once: API to Kafka to PostgreSQL.',
  )
    .usage('COMMAND [options]')
    .version(manifest.version, '-V, --version', 'show the version')
    .helpCommand(false)
    .addHelpText(
      'after',
      `
firehose COMMAND --help describes a command, with its options and exit codes. Settings are environment variables, or
lines of the file .env in this directory, as docker compose reads it; the environment wins. Wrong usage exits with 64,
wrong settings with 78.`,
    )
  const isCheckout = existsSync(new URL('../embedded', import.meta.url))
  for (const row of COMMANDS) {
    if (row.checkoutOnly && !isCheckout) continue
    const command = row.name === name ? (await row.load()).command : newCommand(row.name, '')
    program.addCommand(command.summary(row.summary).helpGroup(GROUPS[row.group]))
  }
  return program
}

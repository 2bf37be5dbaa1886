import { canonicalTimestamp } from '../event/timestamp.ts'
import { type MaintainConfig, maintainSettings, readMaintainConfig } from '../maintenance/config.ts'
import { describeRunError, isBug } from '../maintenance/failure.ts'
import type { Action } from '../maintenance/maintenance.ts'
import { withConnection } from '../maintenance/connection.ts'
import { runOnce, type RunResult } from '../maintenance/run.ts'
import { formatDuration } from '../platform/duration.ts'
import { Screen } from '../platform/screen.ts'
import { sleep } from '../platform/sleep.ts'
import { UsageError } from '../platform/usage-error.ts'
import { readNowMs } from '../postgres/now.ts'
import { newCommand, warn } from './command.ts'
import { convertTable, type ConvertValues, parsePause } from './maintain-convert.ts'
import { showProgress } from './maintain-progress.ts'
import { EXIT_STOPPED, stopOnSignal } from './stop-on-signal.ts'

/** After Ctrl-C, a statement that takes longer is left to PostgreSQL, which rolls it back or finishes it. */
const STOP_MS = 700
/** Clocks of two machines: a --now within this is not the future. */
const SAME_TIME_MS = 60_000

const BUSY =
  'Nothing was done: another process maintains this database (its session is firehose-maintain-turn in pg_stat_activity). Run this again when that has ended.'

interface Values extends ConvertValues {
  convert?: true
  once?: true
  every?: string | true
  now?: string
  yes?: true
}

export const command = newCommand(
  'maintain',
  `Keeps the table events for years: makes the partitions of the next two weeks (of hours: two days), deletes what is older
than EVENTS_RETENTION_DAYS, and closes partitions that are over: VACUUM and, if EVENTS_USER_INDEX is deferred, their indexes.
It may be killed at any time; the next run goes on. Sinks and APIs never need it, nor wait for it for longer than a second.`,
)
  .option('--once', 'one run (the default)')
  .option(
    '--every [DURATION]',
    'a service in the foreground: a run now, and again after each DURATION, such as 10m (MAINTAIN_EVERY, else every hour, with partitions of hours every ten minutes)',
  )
  .option(
    '--convert',
    'make the table of an older installation one with partitions, while sinks write; with --dry-run, say what becomes of all that it has',
  )
  .option(
    '--longest-pause <SECONDS>',
    'with --convert: how long sinks and readers may wait while rows are moved (default 1)',
  )
  .option('--dry-run', 'only print what would be done')
  .option('--now <TIME>', 'for rehearsals: as if it were this time, such as 2027-01-02T03:04:05Z')
  .option('-y, --yes', 'delete by retention even though --now lies in the future')
  .addHelpText(
    'after',
    `
Run it as the owner of the tables, in the database DATABASE_URL (or PG*); one process at a time works. Settings: see the
README.
Exit code 0: all is done. 1: something is left for the next run, another process is at it, or PostgreSQL cannot be used.
64: wrong usage. 78: wrong settings. 130: Ctrl-C. With --every: 0 after SIGTERM or Ctrl-C.`,
  )
  .action(async (values: Values) => {
    checkValues(values)
    if (values.every === undefined) {
      process.exitCode = await once(values)
      // Do not wait for a statement that PostgreSQL still ends.
      if (process.exitCode === EXIT_STOPPED) process.exit()
      return
    }
    if (values.every !== true) process.env.MAINTAIN_EVERY = values.every
    await import('../maintenance/main.ts')
  })

/** @throws {UsageError} */
function checkValues({ every, ...others }: Values): void {
  const [other] = Object.keys(others)
  if (every !== undefined && other !== undefined)
    throw new UsageError(
      `--every and --${other.replaceAll(/[A-Z]/g, (each) => `-${each.toLowerCase()}`)} cannot be combined.`,
    )
  if (others.longestPause !== undefined && !others.convert)
    throw new UsageError('--longest-pause is only for --convert.')
  if (others.longestPause !== undefined) parsePause(others.longestPause)
  if (others.yes && (others.dryRun || others.now === undefined))
    throw new UsageError('--yes is only for --now without --dry-run.')
  if (typeof every !== 'string') return
  try {
    maintainSettings.MAINTAIN_EVERY.parse(every)
  } catch (error) {
    throw new UsageError(`--every ${(error as Error).message}.`)
  }
}

/** @returns the exit code */
async function once(values: Values): Promise<number> {
  const nowMs = values.now === undefined ? undefined : momentOf(values.now)
  const config = readMaintainConfig(process.env)
  warn(config.warnings)
  const signal = stopOnSignal(() => console.error('Stopping (press Ctrl-C again to exit immediately).'))
  try {
    if (nowMs !== undefined) await checkFuture(config, nowMs, values)
    const run = values.convert
      ? converted(config, values, { nowMs, signal })
      : work(config, nowMs, values.dryRun === true, signal)
    return await untilStopped(run, signal)
  } catch (error) {
    if (error instanceof UsageError || isBug(error)) throw error
    console.error(
      `Maintenance of PostgreSQL at ${config.databaseAddress} failed: ${describeRunError(error)}.`,
    )
    return 1
  }
}

/** @returns the exit code */
async function converted(...args: Parameters<typeof convertTable>): Promise<number> {
  const outcome = await convertTable(...args)
  if (outcome === 'busy') console.error(BUSY)
  return outcome === true ? 0 : 1
}

/** One run, with its sentences. @returns the exit code */
async function work(
  { connectionString, policy, kafka }: MaintainConfig,
  nowMs: number | undefined,
  dryRun: boolean,
  signal: AbortSignal,
): Promise<number> {
  const screen = new Screen(process.stdout)
  const ended = new AbortController()
  const progress = showProgress(connectionString, screen, AbortSignal.any([signal, ended.signal]))
  const report = ({ kind, text }: Action): void => {
    if (kind === 'problem') console.error(text)
    else screen.say(text)
  }
  try {
    const result = await runOnce({ connectionString, policy, kafka, dryRun, nowMs, report, signal })
    // Not on standard output: cron jobs throw that away.
    if (result.outcome === 'busy') console.error(BUSY)
    for (const line of closingLines(result, dryRun)) screen.say(line)
    return exitCodeOf(result)
  } finally {
    ended.abort()
    await progress
  }
}

/** What is said after the actions. Pure. */
export function closingLines({ outcome, actions, layout }: RunResult, dryRun: boolean): string[] {
  if (outcome === 'busy') return []
  return [
    ...(actions.length === 0 ? ['Nothing to do.'] : []),
    ...(layout === 'table'
      ? [
          '"events" has no partitions, so none were made; "npx firehose maintain --convert" would partition it.',
        ]
      : []),
    ...(dryRun && actions.length > 0 ? ['Nothing was changed (--dry-run).'] : []),
  ]
}

/** Pure. */
export function exitCodeOf({ outcome, actions }: Pick<RunResult, 'outcome' | 'actions'>): number {
  return outcome === 'busy' || actions.some(({ kind }) => kind === 'problem') ? 1 : 0
}

/** The exit code of the run, or that of Ctrl-C soon after it. */
async function untilStopped(run: Promise<number>, signal: AbortSignal): Promise<number> {
  const stopped = new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
  const giveUp = stopped.then(async () => await sleep(STOP_MS))
  try {
    const code = await Promise.race([run, giveUp])
    if (code !== undefined && !signal.aborted) return code
  } catch (error) {
    if (!signal.aborted) throw error
  }
  console.error('Interrupted; the next run goes on from here.')
  return EXIT_STOPPED
}

/** @returns milliseconds since 1970 @throws {UsageError} */
function momentOf(text: string): number {
  const canonical = canonicalTimestamp(text)
  if (canonical !== undefined) return Date.parse(canonical)
  throw new UsageError(`--now must be a time such as 2027-01-02T03:04:05Z, not "${text}".`)
}

/**
 * In a run of the future, retention would delete what is young today.
 *
 * @throws {UsageError} if it would
 */
async function checkFuture(
  { connectionString, policy }: MaintainConfig,
  nowMs: number,
  { dryRun, yes }: Values,
): Promise<void> {
  if (dryRun) return
  const aheadMs = nowMs - (await withConnection(connectionString, readNowMs))
  if (aheadMs <= SAME_TIME_MS) return
  const deletes = policy.retentionDays !== undefined || policy.deadLetterDays !== undefined
  const ahead = `--now is ${formatDuration(Math.floor(aheadMs / 1_000) * 1_000)} later than PostgreSQL's time`
  if (deletes && !yes)
    throw new UsageError(
      `Nothing was done: ${ahead}, and retention would delete what is not that old yet. Use --dry-run, or --yes to delete it.`,
    )
  console.error(
    `${ahead}: partitions are made and closed${deletes ? ', and rows deleted,' : ''} as if it were then.`,
  )
}

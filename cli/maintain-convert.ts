import type { MaintainConfig } from '../maintenance/config.ts'
import { convert } from '../maintenance/convert/convert.ts'
import { Screen } from '../platform/screen.ts'
import { UsageError } from '../platform/usage-error.ts'
import { showProgress } from './maintain-progress.ts'

const MAX_PAUSE_S = 3_600

export interface ConvertValues {
  dryRun?: true
  longestPause?: string
}

/** `firehose maintain --convert`. @returns whether the table is, or could be, converted; `busy`: another process is at it */
export async function convertTable(
  { connectionString, policy }: MaintainConfig,
  { dryRun = false, longestPause }: Omit<ConvertValues, 'dryRun'> & { dryRun?: boolean },
  { nowMs, signal }: { nowMs: number | undefined; signal: AbortSignal },
): Promise<boolean | 'busy'> {
  const screen = new Screen(process.stdout)
  const ended = new AbortController()
  const progress = showProgress(connectionString, screen, AbortSignal.any([signal, ended.signal]))
  try {
    const outcome = await convert({
      connectionString,
      policy,
      dryRun,
      longestPauseS: longestPause === undefined ? undefined : parsePause(longestPause),
      nowMs,
      report: (kind, text) => {
        if (kind === 'done') screen.say(text)
        else console.error(kind === 'refused' && !text.endsWith(';') ? `${text}.` : text)
      },
      signal,
    })
    if (dryRun) screen.say('Nothing was changed (--dry-run).')
    return outcome === 'busy' ? 'busy' : outcome !== 'refused'
  } finally {
    ended.abort()
    await progress
  }
}

/** @returns seconds @throws {UsageError} */
export function parsePause(text: string): number {
  const seconds = Number(text)
  if (text.trim() !== '' && seconds > 0 && seconds <= MAX_PAUSE_S) return seconds
  throw new UsageError(`--longest-pause must be a number of seconds, at most ${MAX_PAUSE_S}, not "${text}".`)
}

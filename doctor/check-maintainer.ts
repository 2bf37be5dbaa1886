import { checkMaintenance } from './check-maintenance.ts'
import { checkPartitions } from './check-partitions.ts'
import type { Facts } from './facts.ts'
import type { Finding } from './finding.ts'
import { plural } from '../platform/units.ts'

/** What the service `firehose maintain --every` says of its last run. Cron may do its work instead. */
export function checkMaintainer(facts: Facts): Finding[] {
  const { url, answer } = facts.maintain
  if (!answer.ok) return [notAnswering(facts, answer.error)]
  const { state, reason, last_run } = answer.value.health
  if (state === 'failing' || !answer.value.ready)
    return [
      {
        check: 'maintain',
        level: 'warning',
        text: `The maintenance service at ${url} cannot work: ${typeof reason === 'string' ? reason : (answer.value.reason ?? 'it is not ready')}.`,
        mend: 'Fix the cause that it reports; it then continues by itself.',
      },
    ]
  const problems = problemsOf(last_run)
  if (problems.length > 0)
    return [
      {
        check: 'maintain',
        level: 'warning',
        text: `The last run of the maintenance service at ${url} left ${plural(problems.length, 'thing')} undone: ${problems[0]}`,
        mend: `Do what it says; the next run tries again. All of them: curl ${new URL('/health', url).href}`,
      },
    ]
  return [{ check: 'maintain', level: 'ok', text: `The maintenance service at ${url} reports no problem.` }]
}

function problemsOf(lastRun: unknown): string[] {
  const { problems } = (lastRun ?? {}) as { problems?: unknown }
  return Array.isArray(problems) ? problems.filter((problem) => typeof problem === 'string') : []
}

/** While nothing is late, nothing has to run: a note. */
function notAnswering(facts: Facts, error: string): Finding {
  const { url, named } = facts.maintain
  const isLate = [...checkPartitions(facts), ...checkMaintenance(facts)].some(
    ({ check, level }) => level !== 'ok' && level !== 'note' && check !== 'user-search',
  )
  return {
    check: 'maintain',
    level: named && isLate ? 'warning' : 'note',
    text: `No maintenance service answers at ${url} (${error}).`,
    mend: named
      ? 'Start it (npx firehose maintain --every 1h; docker compose up -d maintain), or give another address with --maintain URL.'
      : 'If cron runs npx firehose maintain --once instead, nothing is missing; if the service is elsewhere, give its address with --maintain URL.',
  }
}

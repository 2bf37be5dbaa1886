import { UNIT_MS } from '../postgres/partitions/ranges.ts'
import type { Facts } from './facts.ts'
import type { Finding } from './finding.ts'
import { duration } from '../platform/units.ts'

const DAY_MS = UNIT_MS.day
/** Kafka deletes whole segments, and maintenance whole partitions: neither does it to the minute. */
const MARGIN_MS = DAY_MS

/** Whether rows and decided dead letters are kept for longer than Kafka keeps their records. */
export function checkEventRetention({ settings, kafka, comparison }: Facts): Finding[] {
  const { retentionDays, deadLetterDays } = settings
  const configs = kafka.ok ? kafka.value.topicConfigs : undefined
  if (configs?.ok !== true) return [] // the check "retention" says why
  const topicMs = Number(configs.value['retention.ms'])
  const unreadS = comparison?.ok === true ? comparison.value.progress.oldestS : 0
  const findings = [
    ...tooShort('EVENTS_RETENTION_DAYS', retentionDays, topicMs, {
      harm: 'records that are read again after their rows were deleted (rewind, adopt, a duplicate) are stored again',
      isLost: retentionDays !== undefined && unreadS * 1_000 > retentionDays * DAY_MS,
    }),
    ...tooShort('DEAD_LETTERS_RETENTION_DAYS', deadLetterDays, topicMs, {
      harm: 'records that are read again after their dead letters were deleted (rewind, adopt) become open dead letters again',
      isLost: false,
    }),
  ]
  if (findings.length > 0) return findings
  const text =
    retentionDays === undefined
      ? 'Events are kept for ever (EVENTS_RETENTION_DAYS is not set).'
      : `Events are kept for ${retentionDays} days, longer than their records in Kafka.`
  return [{ check: 'event-retention', level: 'ok', text }]
}

/** @param topicMs negative: for ever */
function tooShort(
  name: string,
  days: number | undefined,
  topicMs: number,
  { harm, isLost }: { harm: string; isLost: boolean },
): Finding[] {
  if (days === undefined || (topicMs >= 0 && days * DAY_MS >= topicMs + MARGIN_MS)) return []
  const least = Math.ceil((topicMs + MARGIN_MS) / DAY_MS)
  const topic = topicMs < 0 ? 'for ever' : `for ${duration(topicMs / 1_000)}`
  const soon = isLost
    ? ' Events that wait in Kafka are older than that: they are deleted as soon as they are stored.'
    : ''
  return [
    {
      check: 'event-retention',
      level: isLost ? 'critical' : 'warning',
      text: `${name} is ${days}, but the topic keeps records ${topic}${topicMs < 0 ? '' : ', and it should be at least a day longer than that'}: ${harm}.${soon}`,
      mend:
        topicMs < 0
          ? `Unset ${name}, or give the topic a retention.ms that is a day shorter${days > 1 ? `: ${(days - 1) * DAY_MS}` : ''}.`
          : `Set ${name}=${least} or more, or lower retention.ms of the topic.`,
    },
  ]
}

import { decidePosition } from '../sink-worker/positions/positions.ts'
import type { Comparison, Facts, Progress } from './facts.ts'
import { type Finding, fromResult } from './finding.ts'
import { duration, listed, plural } from '../platform/units.ts'

/** Shorter delays are normal: they come from fetches and transactions. */
const LATE_S = 60
/** The finding is critical if less than this is left before the first loss ... */
const ACT_NOW_S = 24 * 3_600
/** ... or less than this share of the retention. */
const LEFT_SHARE = 0.5

/** The checks that need both Kafka and PostgreSQL: the runway, and whether the offsets are right (I9). */
export function checkLag({ kafka, comparison }: Facts): Finding[] {
  if (comparison === undefined || !kafka.ok) return []
  const { topicConfigs } = kafka.value
  const retentionMs = topicConfigs?.ok === true ? Number(topicConfigs.value['retention.ms']) : undefined
  return fromResult('lag', comparison, 'Fix the other findings, then run the doctor again.', (found) => [
    judgeProgress(
      found.progress,
      retentionMs === undefined || retentionMs < 0 ? undefined : retentionMs / 1_000,
    ),
    ...checkOffsets(found, kafka.value.clusterId),
  ])
}

/**
 * Judges the lag by the time left until the first loss (the runway).
 *
 * @param retentionS how long the topic keeps a record; undefined if forever or unknown
 */
export function judgeProgress(progress: Progress, retentionS: number | undefined): Finding {
  const { seconds, produced, stored, unread, oldestS } = progress
  const rates = `${perSecond(produced / seconds)} received, ${perSecond(stored / seconds)} stored`
  if (oldestS < LATE_S) {
    const text =
      unread === 0
        ? `Everything is stored (${rates}).`
        : `${plural(unread, 'record')} not stored yet, none older than a minute (${rates}).`
    return { check: 'lag', level: 'ok', text }
  }
  const gain = (stored - produced) / seconds
  const caughtUpS = gain > 0 ? unread / gain : Infinity
  const leftS = retentionS === undefined ? Infinity : firstLossS(retentionS - oldestS, progress)
  const waiting = `${plural(unread, 'record')} not stored, the oldest for ${duration(oldestS)}`
  const mend =
    'Find out what delays the sink: see the other findings, or its /health. Until then, raise retention.ms.'
  if (caughtUpS < leftS) {
    return {
      check: 'lag',
      level: 'warning',
      text: `${waiting}; at this rate the sink catches up in ${duration(caughtUpS)} (${rates}).`,
      mend: 'Wait; more sinks catch up faster.',
    }
  }
  const isNear = leftS < ACT_NOW_S || (retentionS !== undefined && leftS < retentionS * LEFT_SHARE)
  const runway =
    leftS === Infinity
      ? ''
      : leftS <= 0
        ? '; it may expire at any moment'
        : `; at this rate it expires in ${duration(leftS)}`
  return {
    check: 'lag',
    level: isNear ? 'critical' : 'warning',
    text: `${waiting}${runway} (${rates}).`,
    mend,
  }
}

/**
 * The runway: seconds until the first unread record is as old as the retention. The age of the first unread record grows
 * by one second each second, minus the part of the backlog, in seconds, that the sink stores meanwhile. (Kafka deletes
 * whole segments, so the loss happens somewhat later.)
 */
function firstLossS(leftS: number, { unread, oldestS, stored, seconds }: Progress): number {
  const backlogSecondsPerSecond = stored / seconds / (unread / oldestS)
  return backlogSecondsPerSecond >= 1 ? Infinity : leftS / (1 - backlogSecondsPerSecond)
}

function perSecond(rate: number): string {
  return `${rate > 0 && rate < 10 ? rate.toFixed(1) : Math.round(rate).toLocaleString('en-US')}/s`
}

function checkOffsets({ offsets, watermarks }: Comparison, clusterId: string): Finding[] {
  const stopped: string[] = []
  const expired: { partition: number; count: bigint }[] = []
  // A compacted topic is reported by the check "topic".
  const topic = { clusterId, compacted: false, partitions: watermarks }
  const { foreignCluster } = offsets
  const loaded = foreignCluster === undefined ? { offsets: offsets.offsets } : { foreignCluster }
  for (const [partition, kafka] of watermarks) {
    const { start, stored } = decidePosition(topic, loaded, partition)
    if (start.kind === 'stop') stopped.push(start.reason)
    else if (kafka.low > stored.nextOffset) expired.push({ partition, count: kafka.low - stored.nextOffset })
  }
  const findings: Finding[] = []
  const [reason = ''] = stopped
  if (stopped.length > 0) {
    const [cause = '', commands = ''] = reason.split('; see ')
    const others =
      stopped.length === 1 || foreignCluster !== undefined
        ? ''
        : `; also ${plural(stopped.length - 1, 'other partition')}`
    findings.push({
      check: 'offsets',
      level: 'critical',
      text: `The sink stops: ${cause}${others}.`,
      mend: `If this topic is the right one: ${commands}.`,
    })
  }
  if (expired.length > 0) {
    const total = expired.reduce((sum, { count }) => sum + Number(count), 0)
    findings.push({
      check: 'offsets',
      level: 'critical',
      text: `${plural(total, 'record')} of partition ${listed(expired.map(({ partition }) => partition))} expired before they were stored: they are lost.`,
      mend: 'Raise retention.ms now, so that no more are lost, and fix what delays the sink.',
    })
  }
  if (findings.length > 0) return findings
  return [
    { check: 'offsets', level: 'ok', text: 'The offsets in PostgreSQL match this topic and this cluster.' },
  ]
}

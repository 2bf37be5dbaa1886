import { decidePosition } from '../sink-worker/positions/positions.ts'
import type { Between, Facts, Progress } from './facts.ts'
import { type Finding, fromLook } from './finding.ts'
import { duration, listed, plural } from './units.ts'

/** Rows that are later than this are late; shorter lags are the rhythm of fetches and transactions. */
const LATE_S = 60
/** With less left before the first loss, someone must act now ... */
const ACT_NOW_S = 24 * 3_600
/** ... and also when this much of the retention is used up. */
const USED_SHARE = 0.5

/** What takes Kafka and PostgreSQL together: the runway, and whether the offsets fit (I9). */
export function checkLag({ kafka, between }: Facts): Finding[] {
  if (between === undefined || !kafka.ok) return []
  const { topicConfigs } = kafka.value
  const retentionMs = topicConfigs?.ok === true ? Number(topicConfigs.value['retention.ms']) : undefined
  return fromLook('lag', between, 'Mend what else is found here, then look again.', (found) => [
    judgeProgress(
      found.progress,
      retentionMs === undefined || retentionMs < 0 ? undefined : retentionMs / 1_000,
    ),
    ...checkOffsets(found, kafka.value.clusterId),
  ])
}

/**
 * @param retentionS how long the topic keeps a record; undefined when for ever or not known
 */
export function judgeProgress(progress: Progress, retentionS: number | undefined): Finding {
  const { seconds, produced, stored, unread, oldestS } = progress
  const rates = `${perSecond(produced / seconds)} come in, ${perSecond(stored / seconds)} are stored`
  if (oldestS < LATE_S) {
    const text =
      unread === 0
        ? `All is stored (${rates}).`
        : `${plural(unread, 'record')} on the way, none older than a minute (${rates}).`
    return { check: 'lag', level: 'ok', text }
  }
  const gain = (stored - produced) / seconds
  const caughtUpS = gain > 0 ? unread / gain : Infinity
  const leftS = retentionS === undefined ? Infinity : firstLossS(retentionS - oldestS, progress)
  const behind = `${plural(unread, 'record')} not stored, the oldest for ${duration(oldestS)}`
  const mend =
    'Find what holds the sink up among the other findings, or in its /health; until then raise retention.ms.'
  if (caughtUpS < leftS) {
    return {
      check: 'lag',
      level: 'warning',
      text: `${behind}; caught up in ${duration(caughtUpS)} at this rate (${rates}).`,
      mend: 'Wait; more sinks drain faster.',
    }
  }
  const isNear = leftS < ACT_NOW_S || (retentionS !== undefined && leftS < retentionS * USED_SHARE)
  const runway =
    leftS === Infinity
      ? ''
      : leftS <= 0
        ? ' and may expire any moment'
        : ` and expires, at this rate, in ${duration(leftS)}`
  return {
    check: 'lag',
    level: isNear ? 'critical' : 'warning',
    text: `${behind}${runway} (${rates}).`,
    mend,
  }
}

/**
 * When the first unread record is as old as the retention (the runway). It ages by a second each second, less the
 * seconds' worth of backlog that the sink stores meanwhile. (Kafka deletes whole segments, so in truth somewhat later.)
 */
function firstLossS(leftS: number, { unread, oldestS, stored, seconds }: Progress): number {
  const backlogSecondsPerSecond = stored / seconds / (unread / oldestS)
  return backlogSecondsPerSecond >= 1 ? Infinity : leftS / (1 - backlogSecondsPerSecond)
}

function perSecond(rate: number): string {
  return `${rate > 0 && rate < 10 ? rate.toFixed(1) : Math.round(rate).toLocaleString('en-US')}/s`
}

function checkOffsets({ offsets, watermarks }: Between, clusterId: string): Finding[] {
  const stopped: string[] = []
  const expired: { partition: number; count: bigint }[] = []
  // A compacted topic is a finding of its own.
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
    const [what = '', mend = ''] = reason.split('; see ')
    const others =
      stopped.length === 1 || foreignCluster !== undefined
        ? ''
        : `, and so ${plural(stopped.length - 1, 'other partition')}`
    findings.push({
      check: 'offsets',
      level: 'critical',
      text: `The sink stops: ${what}${others}.`,
      mend: `If this topic is the right one: ${mend}.`,
    })
  }
  if (expired.length > 0) {
    const total = expired.reduce((sum, { count }) => sum + Number(count), 0)
    findings.push({
      check: 'offsets',
      level: 'critical',
      text: `${plural(total, 'record')} of partition ${listed(expired.map(({ partition }) => partition))} expired before they were stored: they are lost.`,
      mend: 'Raise retention.ms now, so that no more are, and mend what holds the sink up.',
    })
  }
  if (findings.length > 0) return findings
  return [
    { check: 'offsets', level: 'ok', text: 'The offsets in PostgreSQL fit this topic and this cluster.' },
  ]
}

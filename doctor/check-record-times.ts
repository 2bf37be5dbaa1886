import type { Configs } from '../kafka/cluster-inspector.ts'
import type { DoctorSettings } from './facts.ts'
import type { Finding } from './finding.ts'
import { duration } from '../platform/units.ts'

/** The share of the retention that a wrong clock may take from a record. */
const TOLERATED_SHARE = 0.5
const TIMESTAMP_SLACK_MS = 3_600_000

/**
 * Whether records may expire too early because of the clock of an API. A topic from before Firehose set the type, or of a
 * broker that refuses it, has the times of its producers.
 *
 * @param alter makes the command that changes a setting of the topic
 */
export function checkRecordTimes(
  { topic }: Pick<DoctorSettings, 'topic'>,
  configs: Configs,
  alter: (change: string) => string,
): Finding[] {
  const retentionMs = Number(configs['retention.ms'])
  const behindMs = Number(configs['message.timestamp.before.max.ms'] ?? Number.POSITIVE_INFINITY)
  const isProducers = configs['message.timestamp.type'] === 'CreateTime'
  if (!isProducers || retentionMs < 0 || behindMs <= retentionMs * TOLERATED_SHARE) return []
  return [
    {
      check: 'retention',
      level: 'warning',
      text: `Records of "${topic}" expire by the clock of the API that wrote them (message.timestamp.type is CreateTime): Kafka deletes acknowledged events of one that is ${duration(retentionMs / 1_000)} behind within minutes, stored or not.`,
      mend: `${alter('message.timestamp.type=LogAppendTime')} (if Kafka refuses it: message.timestamp.before.max.ms=${Math.min(TIMESTAMP_SLACK_MS, Math.floor(retentionMs * TOLERATED_SHARE))}).`,
    },
  ]
}

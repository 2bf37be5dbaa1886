import {
  type GroupDescription,
  SEPARATE_GROUPS,
  assessGroup,
  formatPartitions,
  formatReaders,
} from '../kafka/group-members.ts'
import type { DoctorSettings } from './facts.ts'
import type { KafkaFacts } from './facts-kafka.ts'
import type { ServiceFacts } from './facts-services.ts'
import type { Finding } from './finding.ts'
import { sinkGroupId } from '../kafka/sink-group.ts'
import { listed, plural } from '../platform/units.ts'

const SEPARATE_ADVICE = `To separate the topics, ${SEPARATE_GROUPS} and restart it; sinks that are waiting for this then continue by themselves.`

/** Whether each partition is read by a member of the sinks' group. */
export function checkGroup(
  { groupId, topic }: DoctorSettings,
  kafka: KafkaFacts,
  group: GroupDescription,
  sink: ServiceFacts,
): Finding[] {
  const { state, members } = group
  const count = plural(members.length, 'member')
  const setting = `${groupId === sinkGroupId(topic) ? 'the default of ' : ''}KAFKA_GROUP_ID`
  if (members.length === 0) {
    return [
      {
        check: 'group',
        level: 'critical',
        text: `No sink is reading: group ${groupId} (${setting}) has no members, so accepted events wait in Kafka.`,
        mend: startOrChangeGroup(groupId, sink),
      },
    ]
  }
  const partitions =
    kafka.partitions?.ok === true ? kafka.partitions.value.map(({ partition }) => partition) : []
  const assessment = assessGroup(group, topic, partitions)
  if (assessment === undefined) {
    return [
      {
        check: 'group',
        level: 'warning',
        text: `Group ${groupId} (${setting}; ${count}) is rebalancing (${state}): nothing is stored meanwhile.`,
        mend: 'Run the doctor again in a minute; if this does not end, a sink is not responding: see the logs of the sinks.',
      },
    ]
  }
  const { unreadPartitions, others } = assessment
  const mixed =
    others.length === 0
      ? undefined
      : `a member that reads another topic, ${formatReaders(others)}: topics that share a group lose partitions to each other`
  if (unreadPartitions.length > 0) {
    const consequence = mixed === undefined ? ': their events wait in Kafka' : `; the group has ${mixed}`
    return [
      {
        check: 'group',
        level: 'critical',
        text: `No member of group ${groupId} (${setting}; ${count}) reads ${formatPartitions(unreadPartitions)} of "${topic}"${consequence}.`,
        mend:
          mixed === undefined
            ? 'If the partitions were just added, wait half a minute; then restart the members of the group.'
            : SEPARATE_ADVICE,
      },
    ]
  }
  if (mixed !== undefined)
    return [
      {
        check: 'group',
        level: 'warning',
        text: `Group ${groupId} (${setting}) has ${mixed}.`,
        mend: SEPARATE_ADVICE,
      },
    ]
  const sinks = plural(members.length, 'sink')
  return [
    {
      check: 'group',
      level: 'ok',
      text: `${sinks} in group ${groupId} (${setting}); every partition is read.`,
    },
  ]
}

/** Sinks that read the topic in other groups: of an earlier version, or with another database. */
export function checkOtherGroups({ topic, groupId }: DoctorSettings, { otherGroups }: KafkaFacts): Finding[] {
  if (!otherGroups.ok || otherGroups.value.size === 0) return []
  const names = listed([...otherGroups.value.keys()])
  return [
    {
      check: 'group',
      level: 'note',
      text: `Sinks in group ${names} also read "${topic}": if they use the same database, each event is fetched there and in ${groupId}, but stored once.`,
      mend: 'Stop sinks of an earlier version, or set KAFKA_GROUP_ID so that all sinks share one group; sinks with another database are fine.',
    },
  ]
}

/** What to do if the group has no members; the sink that answered may be in another group. */
function startOrChangeGroup(groupId: string, { url, answer }: ServiceFacts): string {
  const { id } = ((answer.ok ? answer.value.health.group : undefined) ?? {}) as { id?: unknown }
  if (typeof id === 'string' && id !== groupId)
    return `The sink at ${url} is in group ${id}: run the doctor with KAFKA_GROUP_ID=${id}, or start the sink with KAFKA_GROUP_ID=${groupId}.`
  return 'Start a sink: npx firehose sink (docker compose up -d sink-worker); or set KAFKA_GROUP_ID to the group of the sinks.'
}

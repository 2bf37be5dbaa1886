import { type GroupLook, judgeGroup, namePartitions, nameReaders } from '../kafka/group-members.ts'
import type { DoctorSettings } from './facts.ts'
import type { KafkaFacts } from './facts-kafka.ts'
import type { ServiceFacts } from './facts-services.ts'
import type { Finding } from './finding.ts'
import { listed, plural } from './units.ts'

const SEPARATE =
  'Give one of the two a KAFKA_GROUP_ID of its own and restart it; sinks that wait for that go on by themselves.'

/** Whether someone reads each partition, by the group's own account of its members. */
export function checkGroup(
  { groupId, topic }: DoctorSettings,
  kafka: KafkaFacts,
  group: GroupLook,
  sink: ServiceFacts,
): Finding[] {
  const { state, members } = group
  if (members.length === 0) {
    return [
      {
        check: 'group',
        level: 'critical',
        text: `Nobody reads: group ${groupId} has no members, so what is accepted waits in Kafka.`,
        mend: startOrLookElsewhere(groupId, sink),
      },
    ]
  }
  const count = plural(members.length, 'member')
  const partitions =
    kafka.partitions?.ok === true ? kafka.partitions.value.map(({ partition }) => partition) : []
  const judged = judgeGroup(group, topic, partitions)
  if (judged === undefined) {
    return [
      {
        check: 'group',
        level: 'warning',
        text: `Group ${groupId} (${count}) is sharing out its partitions (${state}): nothing is stored meanwhile.`,
        mend: 'Look again in a minute; if it stays so, some sink does not answer: look at their logs.',
      },
    ]
  }
  const { unreadPartitions, others } = judged
  const mixed =
    others.length === 0
      ? undefined
      : `a member that reads another topic, ${nameReaders(others)}: two topics in one group take partitions from each other`
  if (unreadPartitions.length > 0) {
    const are = unreadPartitions.length === 1 ? 'is' : 'are'
    const consequence =
      mixed === undefined ? ': what is accepted there waits in Kafka' : `; the group has ${mixed}`
    return [
      {
        check: 'group',
        level: 'critical',
        text: `Of "${topic}", ${namePartitions(unreadPartitions)} ${are} read by no member of group ${groupId} (${count})${consequence}.`,
        mend:
          mixed === undefined
            ? 'Sinks find added partitions within half a minute; after that restart the members of the group.'
            : SEPARATE,
      },
    ]
  }
  if (mixed !== undefined)
    return [{ check: 'group', level: 'warning', text: `Group ${groupId} has ${mixed}.`, mend: SEPARATE }]
  const sinks = plural(members.length, 'sink')
  return [{ check: 'group', level: 'ok', text: `${sinks} in group ${groupId}, each partition is read.` }]
}

/** Sinks of this topic in other groups: those of an earlier version, or of another database. */
export function checkOtherGroups({ topic, groupId }: DoctorSettings, { otherGroups }: KafkaFacts): Finding[] {
  if (!otherGroups.ok || otherGroups.value.size === 0) return []
  const names = listed([...otherGroups.value.keys()])
  return [
    {
      check: 'group',
      level: 'note',
      text: `Sinks in group ${names} read "${topic}", too: with one database each event is fetched there and in ${groupId}, and stored once.`,
      mend: 'End those of an earlier version, or set KAFKA_GROUP_ID so that all have one; sinks of another database may stay.',
    },
  ]
}

/** The sink that answered may say that its group is another one. */
function startOrLookElsewhere(groupId: string, { url, answer }: ServiceFacts): string {
  const { id } = ((answer.ok ? answer.value.health.group : undefined) ?? {}) as { id?: unknown }
  if (typeof id === 'string' && id !== groupId)
    return `The sink at ${url} is in group ${id}: run the doctor with KAFKA_GROUP_ID=${id}, or give the sink this group.`
  return 'Start a sink: npm run sink (docker compose up -d sink-worker); or set KAFKA_GROUP_ID to its group.'
}

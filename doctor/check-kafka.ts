import { MAX_ENCODED_BATCH_BYTES, MAX_EVENT_BYTES } from '../event/limits.ts'
import { checkGroup, checkOtherGroups } from './check-group.ts'
import { checkRecordTimes } from './check-record-times.ts'
import type { DoctorSettings, Facts } from './facts.ts'
import type { Configs, PartitionReplicas } from '../kafka/cluster-inspector.ts'
import type { KafkaFacts } from './facts-kafka.ts'
import { type Finding, fromResult } from './finding.ts'
import { duration, listed, plural, size } from '../platform/units.ts'

/** The largest batch that the API sends, with Kafka's batch header and a margin. */
const NEEDED_MESSAGE_BYTES = MAX_ENCODED_BATCH_BYTES + 1_024
const SHORT_RETENTION_MS = 24 * 3_600_000
/** Kafka should not refuse an event because a clock is off by less than this. */
const LEAST_TIMESTAMP_SLACK_MS = 60_000
const GRANT_DESCRIBE = 'Grant this user Describe and DescribeConfigs on the topic, the group and the cluster.'

/** After an upgrade, the group may differ from the one that an ACL names. */
function grantGroup({ groupId }: DoctorSettings): string {
  return `Grant this user Describe on consumer group ${groupId} (sinks need Read), or set KAFKA_GROUP_ID to the sinks' group.`
}

/** The checks that need only Kafka. */
export function checkKafka({ settings, kafka, comparison, sink }: Facts): Finding[] {
  if (!kafka.ok) {
    return [
      {
        check: 'kafka',
        level: 'critical',
        text: `Kafka at ${settings.brokers.join(',')} cannot be reached (${kafka.error}): the API cannot accept events, and the sink cannot read any.`,
        mend: 'Start it, or correct KAFKA_BOOTSTRAP_SERVERS (KAFKA_SSL, KAFKA_SASL_...).',
      },
    ]
  }
  const { value } = kafka
  const group = comparison?.ok === true ? comparison.value.group : value.group
  const configs = value.topicConfigs
  return [
    ...checkReach(value),
    ...checkTopic(settings, value),
    ...(configs === undefined
      ? []
      : fromResult('retention', configs, GRANT_DESCRIBE, (found) => checkRetention(settings, found))),
    ...(value.partitions === undefined ? [] : checkReplication(settings, value)),
    ...fromResult('group', group, grantGroup(settings), (found) => checkGroup(settings, value, found, sink)),
    ...checkOtherGroups(settings, value),
    ...fromResult('session', value.brokerConfigs, GRANT_DESCRIBE, (found) => checkSession(settings, found)),
  ]
}

function checkReach({ brokers, brokerConfigs, clusterId }: KafkaFacts): Finding[] {
  // The protocol does not report the version. Kafka 4 removed this setting; earlier versions always have it.
  const protocol = brokerConfigs.ok ? brokerConfigs.value['inter.broker.protocol.version'] : undefined
  const version = !brokerConfigs.ok
    ? 'Kafka'
    : protocol === undefined
      ? 'Kafka 4 or later'
      : `Kafka ${protocol}`
  return [
    {
      check: 'kafka',
      level: 'ok',
      text: `${version}, ${plural(brokers.length, 'broker')}, cluster ${clusterId}.`,
    },
  ]
}

function checkTopic({ topic, brokers }: DoctorSettings, kafka: KafkaFacts): Finding[] {
  if (kafka.topicConfigs === undefined) {
    return [
      {
        check: 'topic',
        level: 'critical',
        text: `Kafka has no topic "${topic}": no event can be accepted.`,
        mend: `Start the API, which creates it (npx firehose api); if the topic existed before, see "npx firehose adopt"; or correct KAFKA_TOPIC.`,
      },
    ]
  }
  return fromResult('topic', kafka.topicConfigs, GRANT_DESCRIBE, (configs) => {
    const findings: Finding[] = []
    const add = (level: Finding['level'], text: string, change: string): void => {
      findings.push({ check: 'topic', level, text, mend: alterTopic(brokers, topic, change) })
    }
    const messageBytes = Number(configs['max.message.bytes'])
    if ((configs['cleanup.policy'] ?? '').includes('compact')) {
      add(
        'critical',
        'The topic is compacted, which deletes events; the sink refuses to read it.',
        'cleanup.policy=delete',
      )
    }
    if (messageBytes < NEEDED_MESSAGE_BYTES) {
      const refused =
        messageBytes < MAX_EVENT_BYTES + 1_024 ? 'large events' : 'large requests to POST /events'
      add(
        'critical',
        `max.message.bytes is ${messageBytes}, but the API may send batches of up to ${NEEDED_MESSAGE_BYTES} bytes: Kafka refuses them, so ${refused} cannot be accepted.`,
        'max.message.bytes=1048588',
      )
    }
    const slack = ['message.timestamp.after.max.ms', 'message.timestamp.before.max.ms'].find(
      (name) => Number(configs[name] ?? Infinity) < LEAST_TIMESTAMP_SLACK_MS,
    )
    if (slack !== undefined && configs['message.timestamp.type'] !== 'LogAppendTime') {
      add(
        'warning',
        `${slack} is ${configs[slack]}: if the clock of the API is off by more than that, Kafka refuses its events.`,
        `${slack}=3600000`,
      )
    }
    if (findings.length > 0) return findings
    const partitions =
      kafka.partitions?.ok === true ? ` has ${plural(kafka.partitions.value.length, 'partition')},` : ''
    return [
      {
        check: 'topic',
        level: 'ok',
        text: `"${topic}"${partitions} is not compacted and accepts batches of up to ${size(messageBytes)}.`,
      },
    ]
  })
}

function checkRetention({ topic, brokers }: DoctorSettings, configs: Configs): Finding[] {
  const ms = Number(configs['retention.ms'])
  const bytes = Number(configs['retention.bytes'] ?? -1)
  const findings: Finding[] = []
  if (ms >= 0 && ms < SHORT_RETENTION_MS) {
    findings.push({
      check: 'retention',
      level: 'warning',
      text: `Kafka keeps events for only ${duration(ms / 1_000)}: a longer outage of PostgreSQL or the sink loses events.`,
      mend: alterTopic(brokers, topic, 'retention.ms=604800000'),
    })
  }
  if (bytes >= 0) {
    findings.push({
      check: 'retention',
      level: 'warning',
      text: `Kafka also deletes events by size (retention.bytes ${size(bytes)} per partition), whether they are stored or not: how long an outage may last depends on the traffic.`,
      mend: alterTopic(brokers, topic, 'retention.bytes=-1'),
    })
  }
  findings.push(...checkRecordTimes({ topic }, configs, (change) => alterTopic(brokers, topic, change)))
  if (findings.length > 0) return findings
  return [
    {
      check: 'retention',
      level: 'ok',
      text:
        ms < 0
          ? 'Kafka keeps events forever.'
          : `Kafka keeps events for ${duration(ms / 1_000)}: a longer outage of PostgreSQL or the sink loses events.`,
    },
  ]
}

function checkReplication({ topic, brokers }: DoctorSettings, kafka: KafkaFacts): Finding[] {
  const { partitions } = kafka
  if (partitions === undefined) return []
  if (!partitions.ok && partitions.error.includes('LEADER_NOT_AVAILABLE')) {
    return [
      {
        check: 'replication',
        level: 'critical',
        text: `A partition of "${topic}" has no leader: it can be neither written nor read.`,
        mend: 'Start the brokers that are down; kafka-topics.sh --describe --unavailable-partitions lists the partitions.',
      },
    ]
  }
  const configs: Configs = kafka.topicConfigs?.ok === true ? kafka.topicConfigs.value : {}
  return fromResult('replication', partitions, GRANT_DESCRIBE, (found) => {
    const behind = checkInSync(found, Number(configs['min.insync.replicas'] ?? 1))
    const promise = checkPromise({ topic, brokers }, found, configs, kafka.brokers.length)
    return [...behind, ...promise.filter(({ level }) => behind.length === 0 || level !== 'ok')]
  })
}

/** Replicas that are out of sync now. */
function checkInSync(partitions: readonly PartitionReplicas[], leastInSync: number): Finding[] {
  const refusing = partitions.filter(({ inSync }) => inSync.length < leastInSync)
  const behind = partitions.filter(({ replicas, inSync }) => inSync.length < replicas.length)
  const lastCopy = behind.filter(({ inSync }) => inSync.length < 2)
  const [level, named, meaning]: [Finding['level'], PartitionReplicas[], string] =
    refusing.length > 0
      ? ['critical', refusing, `min.insync.replicas is ${leastInSync}, so Kafka refuses its events`]
      : lastCopy.length > 0
        ? ['critical', lastCopy, 'if that broker is lost, acknowledged events are lost too']
        : ['warning', behind, 'one more failure can make it unavailable']
  const [first] = named
  if (first === undefined) return []
  const tooFew = first.replicas.length < leastInSync
  return [
    {
      check: 'replication',
      level,
      text: `Partition ${listed(named.map(({ partition }) => partition))} has ${first.inSync.length} of ${first.replicas.length} replicas in sync: ${meaning}.`,
      mend: tooFew
        ? 'Add replicas (kafka-reassign-partitions.sh), or lower min.insync.replicas of the topic.'
        : 'Start the brokers that are down; see the logs of those whose replicas stay out of sync.',
    },
  ]
}

/** How safe an acknowledged event is, even if all brokers are healthy now. */
function checkPromise(
  { topic, brokers }: Pick<DoctorSettings, 'topic' | 'brokers'>,
  partitions: readonly PartitionReplicas[],
  configs: Configs,
  brokerCount: number,
): Finding[] {
  const replicas = Math.min(...partitions.map((partition) => partition.replicas.length))
  const leastInSync = configs['min.insync.replicas']
  if (replicas === 1) {
    const alone = brokerCount === 1
    return [
      {
        check: 'replication',
        level: alone ? 'note' : 'warning',
        text: `Each event is on ${alone ? 'the only broker' : `one broker of ${brokerCount}`}: if its disk is lost, acknowledged events that are not stored yet are lost too.`,
        mend: alone
          ? 'In production, run three brokers (see compose.cluster.yml).'
          : 'Give the topic three replicas: kafka-reassign-partitions.sh.',
      },
    ]
  }
  const findings: Finding[] = []
  if (leastInSync === '1') {
    findings.push({
      check: 'replication',
      level: 'warning',
      text: `min.insync.replicas is 1: an event may have only one copy of ${replicas} when the client gets its 202; if that broker is lost, so is the event.`,
      mend: alterTopic(brokers, topic, 'min.insync.replicas=2'),
    })
  }
  if (configs['unclean.leader.election.enable'] === 'true') {
    findings.push({
      check: 'replication',
      level: 'critical',
      text: 'unclean.leader.election.enable is true: a replica without the latest acknowledged events can become the leader, which loses them.',
      mend: alterTopic(brokers, topic, 'unclean.leader.election.enable=false'),
    })
  }
  if (findings.length > 0) return findings
  const promise = leastInSync === undefined ? '' : `; at least ${leastInSync} have an event before its 202`
  return [{ check: 'replication', level: 'ok', text: `${replicas} replicas${promise}.` }]
}

function checkSession({ sessionTimeoutMs }: DoctorSettings, configs: Configs): Finding[] {
  const least = Number(configs['group.min.session.timeout.ms'] ?? 0)
  const most = Number(configs['group.max.session.timeout.ms'] ?? Infinity)
  if (sessionTimeoutMs >= least && sessionTimeoutMs <= most) {
    return [
      {
        check: 'session',
        level: 'ok',
        text: `Another sink takes over the partitions of a failed one after ${duration(sessionTimeoutMs / 1_000)}.`,
      },
    ]
  }
  return [
    {
      check: 'session',
      level: 'critical',
      text: `KAFKA_SESSION_TIMEOUT_MS is ${sessionTimeoutMs}, but the broker accepts ${least} to ${most}: a sink with this setting cannot join the group.`,
      mend: `Set KAFKA_SESSION_TIMEOUT_MS=${Math.min(most, Math.max(least, sessionTimeoutMs))}.`,
    },
  ]
}

function alterTopic(brokers: readonly string[], topic: string, change: string): string {
  return `kafka-configs.sh --bootstrap-server ${brokers.join(',')} --alter --entity-type topics --entity-name ${topic} --add-config ${change}`
}

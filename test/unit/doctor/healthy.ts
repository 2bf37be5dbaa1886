import type { Key, Secret } from '../../../access/key-file.ts'
import type { KeyFile } from '../../../doctor/facts-access.ts'
import type { Comparison, Facts } from '../../../doctor/facts.ts'
import type { KafkaFacts } from '../../../doctor/facts-kafka.ts'
import type { PostgresFacts, ServerFacts } from '../../../doctor/facts-postgres.ts'
import type { Result } from '../../../doctor/finding.ts'
import type { GroupMember } from '../../../kafka/group-members.ts'
import { EVENT_COLUMN_TYPES } from '../../../sink-worker/store/event-table.ts'
import { GOOD_NEEDS } from '../../support/good-needs.ts'
import { indexesOf, layoutOf, treeOf } from './healthy-layout.ts'

/** The facts of a healthy installation with three brokers; each test breaks one thing. */
export function healthy(): Facts {
  return {
    settings: {
      brokers: ['kafka:9092'],
      topic: 'events',
      groupId: 'firehose-sink-events',
      sessionTimeoutMs: 10_000,
      database: 'db:5432/firehose',
      userIndex: 'immediate',
      retentionDays: undefined,
      deadLetterDays: undefined,
      keyEventsPerSecond: undefined,
    },
    kafka: ok(healthyKafka()),
    postgres: ok(healthyPostgres()),
    comparison: ok(healthyComparison()),
    disks: [{ of: 'PostgreSQL', directory: '/data', space: { totalBytes: 100e9, freeBytes: 50e9 } }],
    keyFile: keyFileOf(serverKey('app', secret('a1'))),
    api: {
      url: 'http://api:8000',
      named: true,
      answer: ok({ ready: true, reason: undefined, health: { user_id_type: 'bigint', access: ACCESS } }),
    },
    sink: {
      url: 'http://sink:8001',
      named: true,
      answer: ok({ ready: true, reason: undefined, health: { state: 'running', total_expired: 0 } }),
    },
    maintain: {
      url: 'http://maintain:8003',
      named: true,
      answer: ok({
        ready: true,
        reason: undefined,
        health: { state: 'waiting', last_run: { problems: [] } },
      }),
    },
  }
}

/** When the key file was read. */
export const READ_AT_MS = Date.parse('2027-01-31T12:00:00Z')
const DAY_MS = 86_400_000
/** What an API that takes keys says of it in /health. */
const ACCESS = { anonymous: 'no', keys: { path: '/keys/keys.json', loadedAtMs: 1, keys: 1 } }

export function keyFileOf(...keys: Key[]): KeyFile {
  const folders = [{ path: '/keys', mode: 0o40700 }]
  return { kind: 'read', path: '/keys/keys.json', keys, mode: 0o100600, folders, atMs: READ_AT_MS }
}

export function serverKey(label: string, ...secrets: Secret[]): Key {
  return { label, kind: 'server', origins: [], eventsPerSecond: undefined, burst: undefined, secrets }
}

/**
 * @param endDays when it ends, in days from when the file was read; undefined: never
 * @param createdDays when it was made
 */
export function secret(id: string, endDays?: number, createdDays = -365): Secret {
  const expiresMs = endDays === undefined ? undefined : READ_AT_MS + endDays * DAY_MS
  return { id, sha256: id.padEnd(64, '0'), createdMs: READ_AT_MS + createdDays * DAY_MS, expiresMs }
}

export function ok<T>(value: T): { ok: true; value: T } {
  return { ok: true, value }
}

export const failed: Result<never> = { ok: false, error: 'the reason' }

export function withKafka(change: Partial<KafkaFacts>, facts = healthy()): Facts {
  return { ...facts, kafka: ok({ ...healthyKafka(), ...change }) }
}

/** Changes settings of the topic and, optionally, other facts about Kafka. */
export function withTopic(configs: Record<string, string>, change: Partial<KafkaFacts> = {}): Facts {
  return withKafka({ topicConfigs: ok({ ...TOPIC_CONFIGS, ...configs }), ...change })
}

export function withPostgres(change: Partial<PostgresFacts>, facts = healthy()): Facts {
  return { ...facts, postgres: ok({ ...healthyPostgres(), ...change }) }
}

export function withServer(change: Partial<ServerFacts>): Facts {
  return withPostgres({ server: { ...healthyPostgres().server, ...change } })
}

/** Changes settings of the sink's role. */
export function withSettings(values: Record<string, string>): Facts {
  return withPostgres({ settings: ok([{ role: 'firehose_sink', values }]) })
}

export function withComparison(change: Partial<Comparison>): Facts {
  return { ...healthy(), comparison: ok({ ...healthyComparison(), ...change }) }
}

/** A member of the group; one of our sinks unless changed. */
export function member(partitions = [0, 1], change: Partial<GroupMember> = {}): GroupMember {
  const assigned = new Map([['events', partitions]])
  return {
    memberId: 'a-1',
    clientId: 'firehose-sink',
    host: '10.0.0.1',
    topics: ['events'],
    assigned,
    ...change,
  }
}

export function partitionFacts(partition: number, inSync = [1, 2, 3], replicas = [1, 2, 3]) {
  return { partition, replicas, inSync }
}

const TOPIC_CONFIGS = {
  'cleanup.policy': 'delete',
  'retention.ms': '604800000',
  'retention.bytes': '-1',
  'max.message.bytes': '1048588',
  'min.insync.replicas': '2',
  'unclean.leader.election.enable': 'false',
  'message.timestamp.type': 'LogAppendTime',
  'message.timestamp.after.max.ms': '3600000',
  'message.timestamp.before.max.ms': '9223372036854775807',
}

function healthyKafka(): KafkaFacts {
  return {
    clusterId: 'cluster',
    brokers: [1, 2, 3].map((nodeId) => ({ nodeId, host: `kafka-${nodeId}`, port: 9092 })),
    brokerConfigs: ok({ 'group.min.session.timeout.ms': '6000', 'group.max.session.timeout.ms': '1800000' }),
    topicExists: true,
    partitions: ok([partitionFacts(0), partitionFacts(1)]),
    topicConfigs: ok(TOPIC_CONFIGS),
    watermarks: ok(new Map()),
    inFuture: ok([]),
    group: ok({ state: 'Stable', members: [member()] }),
    otherGroups: ok(new Map()),
  }
}

function healthyComparison(): Comparison {
  return {
    offsets: {
      foreignCluster: undefined,
      offsets: new Map([0, 1].map((partition) => [partition, { partition, nextOffset: 100n, last: null }])),
    },
    watermarks: new Map([0, 1].map((partition) => [partition, { low: 0n, lastStable: 100n, high: 100n }])),
    group: healthyKafka().group,
    locks: [],
    atMs: Date.parse('2026-01-02T03:04:05Z'),
    heldBack: [],
    heldSinceMs: undefined,
    progress: { seconds: 2, produced: 0, stored: 0, unread: 0, oldestS: 0 },
  }
}

function healthyPostgres(): PostgresFacts {
  return {
    server: {
      version_num: 180_004,
      version: '18.4',
      encoding: 'UTF8',
      role: 'firehose',
      database: 'firehose',
      in_recovery: false,
      fsync: true,
      full_page_writes: true,
      data_directory: '/data',
      xid_age: 1_000,
      connections: 3,
      connections_limit: 97,
    },
    systemIdentifier: ok({ id: '7' }),
    clock: { aheadMs: 1, uncertaintyMs: 2 },
    sinkRoles: { roles: ['firehose_sink'], connected: true },
    settings: ok([{ role: 'firehose_sink', values: { synchronous_commit: 'on', statement_timeout: '0ms' } }]),
    tables: ok({
      found: ['events', 'sink_offsets', 'dead_letters'].map((name) => ({ name, unlogged: false })),
      missingMigrations: [],
      events: {
        types: EVENT_COLUMN_TYPES.bigint,
        expectedTypes: EVENT_COLUMN_TYPES.bigint,
        userIdType: 'bigint',
        requiredColumns: [],
      },
    }),
    layout: ok(layoutOf(treeOf())),
    indexes: ok(indexesOf(treeOf())),
    needs: ok(GOOD_NEEDS),
    triggers: ok([]),
    locks: ok([]),
    wal: ok({ slots: [], archiving_fails: false }),
    deadLetters: ok([]),
    sizes: ok({ database: 2e9, events: 1e9 }),
  }
}

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runChecks } from '../../../doctor/checks.ts'
import type { Facts } from '../../../doctor/facts.ts'
import { testBroken } from './broken.ts'
import {
  failed,
  healthy,
  member,
  ok,
  partitionFacts,
  withComparison,
  withKafka,
  withTopic,
} from './healthy.ts'

const SILENT = { url: 'http://x', named: false, answer: failed }
const stranger = (partitions: number[]) =>
  member(partitions, { memberId: 'b-1', clientId: 'another', host: '10.0.0.2', topics: ['orders'] })
const NO_OFFSETS = { foreignCluster: undefined, offsets: new Map() }

testBroken([
  [
    'Kafka is down',
    { ...healthy(), kafka: failed, comparison: undefined },
    'kafka',
    'critical',
    /cannot be reached \(the reason\)/,
  ],
  [
    'no member',
    withComparison({ group: ok({ state: 'Empty', members: [] }) }),
    'group',
    'critical',
    /No sink is reading/,
  ],
  [
    'a rebalance',
    withComparison({ group: ok({ state: 'PreparingRebalance', members: [member([], { topics: [] })] }) }),
    'group',
    'warning',
    /is rebalancing/,
  ],
  [
    'a partition without a reader',
    withComparison({ group: ok({ state: 'Stable', members: [member([0])] }) }),
    'group',
    'critical',
    /No member of group firehose-sink-events \(the default of KAFKA_GROUP_ID; 1 member\) reads partition 1 of "events"/,
  ],
  [
    'a partition assigned to a member that does not read it',
    withComparison({ group: ok({ state: 'Stable', members: [member([0]), stranger([1])] }) }),
    'group',
    'critical',
    /No member of group firehose-sink-events \(the default of KAFKA_GROUP_ID; 2 members\) reads partition 1 of "events"; the group has a member that reads another topic, "orders" \(another at 10\.0\.0\.2\)/,
  ],
  [
    'a member that reads another topic but has no partitions',
    withComparison({ group: ok({ state: 'Stable', members: [member(), stranger([])] }) }),
    'group',
    'warning',
    /another topic, "orders"/,
  ],
  [
    'sinks in another group read the topic',
    withKafka({ otherGroups: ok(new Map([['firehose-sink', { state: 'Stable', members: [member()] }]])) }),
    'group',
    'note',
    /Sinks in group firehose-sink also read "events"/,
  ],
  [
    'the group cannot be described',
    withComparison({ group: failed }),
    'group',
    'unknown',
    /could not be checked: the reason/,
  ],
  [
    'the second observation failed',
    { ...healthy(), comparison: failed },
    'lag',
    'unknown',
    /could not be checked/,
  ],
  [
    'the topic is compacted',
    withTopic({ 'cleanup.policy': 'compact,delete' }),
    'topic',
    'critical',
    /compacted/,
  ],
  [
    'batches are refused',
    withTopic({ 'max.message.bytes': '900000' }),
    'topic',
    'critical',
    /large requests to POST \/events cannot/,
  ],
  [
    'events are refused',
    withTopic({ 'max.message.bytes': '60000' }),
    'topic',
    'critical',
    /large events cannot/,
  ],
  [
    'too little tolerance for clocks',
    withTopic({
      'message.timestamp.type': 'CreateTime',
      'message.timestamp.after.max.ms': '1000',
      'message.timestamp.before.max.ms': '3600000',
    }),
    'topic',
    'warning',
    /after\.max\.ms is 1000/,
  ],
  [
    'the topic is missing',
    {
      ...withKafka({
        topicExists: false,
        topicConfigs: undefined,
        partitions: undefined,
        inFuture: undefined,
      }),
      comparison: undefined,
    },
    'topic',
    'critical',
    /no topic "events"/,
  ],
  ['short retention', withTopic({ 'retention.ms': '7200000' }), 'retention', 'warning', /for only 2 h/],
  [
    'retention by size',
    withTopic({ 'retention.bytes': '1000000' }),
    'retention',
    'warning',
    /by size \(retention\.bytes 1\.0 MB/,
  ],
  [
    'one replica of three brokers',
    withTopic(
      { 'min.insync.replicas': '1' },
      { partitions: ok([partitionFacts(0, [1], [1]), partitionFacts(1)]) },
    ),
    'replication',
    'warning',
    /on one broker of 3/,
  ],
  [
    'a single broker',
    withTopic(
      { 'min.insync.replicas': '1' },
      {
        brokers: [{ nodeId: 1, host: 'a', port: 1 }],
        partitions: ok([partitionFacts(0, [1], [1]), partitionFacts(1, [1], [1])]),
      },
    ),
    'replication',
    'note',
    /on the only broker/,
  ],
  [
    'a replica is out of sync',
    withKafka({ partitions: ok([partitionFacts(0), partitionFacts(1, [1, 2])]) }),
    'replication',
    'warning',
    /Partition 1 has 2 of 3/,
  ],
  [
    'too few in sync',
    withKafka({ partitions: ok([partitionFacts(0, [3]), partitionFacts(1, [1, 2])]) }),
    'replication',
    'critical',
    /Partition 0 has 1 of 3 .*min\.insync\.replicas is 2/,
  ],
  [
    'no leader',
    withKafka({ partitions: { ok: false, error: 'x (LEADER_NOT_AVAILABLE)' } }),
    'replication',
    'critical',
    /no leader/,
  ],
  [
    'a 202 may mean one copy',
    withTopic({ 'min.insync.replicas': '1' }),
    'replication',
    'warning',
    /only one copy of 3/,
  ],
  [
    'unclean elections',
    withTopic({ 'unclean.leader.election.enable': 'true' }),
    'replication',
    'critical',
    /unclean/,
  ],
  [
    'a session that is refused',
    { ...healthy(), settings: { ...healthy().settings, sessionTimeoutMs: 3_000 } },
    'session',
    'critical',
    /the broker accepts 6000 to 1800000/,
  ],
  [
    'the topic was recreated',
    withComparison({
      watermarks: new Map([
        [0, { low: 0n, lastStable: 7n, high: 7n }],
        [1, { low: 0n, lastStable: 100n, high: 100n }],
      ]),
    }),
    'offsets',
    'critical',
    /partition 0 ends at offset 7, but 100 was written/,
  ],
  [
    'an open transaction whose first record is two minutes old',
    held(120),
    'transactions',
    'warning',
    /^7 records of partition 1 wait for an open transaction of another producer; its first record is dated 2026-01-02T03:02:05Z \(2 min ago\)/,
  ],
  [
    'an open transaction whose first record is new',
    held(10),
    'transactions',
    'note',
    /The sink cannot read past it\.$/,
  ],
  [
    'an open transaction that imports events of last week',
    held(7 * 86_400),
    'transactions',
    'warning',
    /\(7 days ago\)/,
  ],
  [
    'another cluster',
    withComparison({ offsets: { foreignCluster: 'other', offsets: new Map() } }),
    'offsets',
    'critical',
    /written from cluster other, this one is cluster\./,
  ],
  [
    'records expired',
    withComparison({ watermarks: new Map([[0, { low: 130n, lastStable: 150n, high: 150n }]]) }),
    'offsets',
    'critical',
    /30 records of partition 0 expired/,
  ],
  ['little disk space', disk(8e9), 'disk', 'warning', /8\.0 GB left \(8 %\)/],
  ['almost no disk space', disk(1e9), 'disk', 'critical', /nothing is stored/],
  [
    'a disk on another machine',
    { ...healthy(), disks: [{ of: 'Kafka', directory: null, space: undefined }] },
    'disk',
    'note',
    /cannot be determined/,
  ],
  [
    'the API does not accept events',
    api({ ready: false, reason: 'Kafka is unreachable', health: {} }),
    'api',
    'critical',
    /does not accept events: Kafka is unreachable/,
  ],
  [
    'the API at the given address does not answer',
    { ...healthy(), api: { url: 'http://x', named: true, answer: failed } },
    'api',
    'critical',
    /No API answers/,
  ],
  [
    'no API at the default address while a sink reads',
    { ...withComparison({ offsets: NO_OFFSETS }), api: SILENT },
    'api',
    'warning',
    /No API answers at http:\/\/x .*although events are stored here/,
  ],
  [
    'the sink is paused',
    sink({ state: 'paused', reason: 'disk full', needs_person: false }),
    'sink',
    'warning',
    /is paused: disk full/,
  ],
  [
    'the sink is stopped',
    sink({ state: 'stopped', reason: 'recreated', needs_person: true }),
    'sink',
    'critical',
    /is stopped: recreated/,
  ],
  [
    'the sink counted expired records',
    sink({ state: 'running', total_expired: 5 }),
    'sink',
    'warning',
    /5 records expired/,
  ],
])

function disk(freeBytes: number): Facts {
  return {
    ...healthy(),
    disks: [{ of: 'PostgreSQL', directory: '/data', space: { totalBytes: 100e9, freeBytes } }],
  }
}

test('api: no API at the default address is a warning if events are stored, otherwise a note', () => {
  const unread = withKafka({ group: ok({ state: 'Empty', members: [] }) })
  const levelOf = (facts: Facts) =>
    runChecks({ ...facts, api: SILENT }).find(({ check }) => check === 'api')?.level
  assert.equal(levelOf(unread), 'warning')
  assert.equal(levelOf({ ...unread, comparison: withComparison({ offsets: NO_OFFSETS }).comparison }), 'note')
  assert.equal(levelOf({ ...unread, kafka: failed, comparison: undefined }), 'note')
})

test('group: if the sink is in another group, the finding names that group', () => {
  const health = { state: 'running', total_expired: 0, group: { id: 'its-own' } }
  const elsewhere = { ...healthy().sink, answer: ok({ ready: true, reason: undefined, health }) }
  const facts = { ...withComparison({ group: ok({ state: 'Empty', members: [] }) }), sink: elsewhere }
  const { mend = '' } = runChecks(facts).find(({ check }) => check === 'group') ?? {}
  assert.match(
    mend,
    /The sink at http:\/\/sink:8001 is in group its-own: run the doctor with KAFKA_GROUP_ID=its-own/,
  )
})

test('group: the finding names the group that it looked at, and the setting', () => {
  const settings = { ...healthy().settings, groupId: 'other' }
  const facts = { ...withComparison({ group: ok({ state: 'Empty', members: [] }) }), settings }
  const { text = '' } = runChecks(facts).find(({ check }) => check === 'group') ?? {}
  assert.match(text, /^No sink is reading: group other \(KAFKA_GROUP_ID\) has no members/)
})

test('transactions: the remedy aborts only transactions that find-hanging lists', () => {
  const { mend = '' } = runChecks(held(7 * 86_400)).find(({ check }) => check === 'transactions') ?? {}
  assert.match(mend, /find-hanging --topic events; then abort the transaction that this lists/)
  assert.doesNotMatch(mend, /--start-offset/)
})

/** Records of partition 1 are held back by a transaction whose first record is this old. */
function held(seconds: number): Facts {
  const atMs = Date.parse('2026-01-02T03:04:05Z')
  const heldBack = [{ partition: 1, from: 93n, to: 100n }]
  return withComparison({ atMs, heldBack, heldSinceMs: atMs - seconds * 1_000 })
}

function api(answer: { ready: boolean; reason: string | undefined; health: object }): Facts {
  return { ...healthy(), api: { ...healthy().api, answer: ok({ ...answer, health: {} }) } }
}

function sink(health: Record<string, unknown>): Facts {
  return {
    ...healthy(),
    sink: { ...healthy().sink, answer: ok({ ready: false, reason: undefined, health }) },
  }
}

import type { Client } from 'pg'
import { onFetched } from '../../kafka/patches.ts'
import { sinkGroupId } from '../../kafka/sink-group.ts'
import { connect } from '../../postgres/connect.ts'
import { checkSupported } from '../../postgres/supported.ts'
import { TABLE, type UserIdType } from './fields-sql.ts'
import { MarkerCheck } from './marker-check.ts'
import {
  describeGroup,
  describeTopic,
  type KafkaAccess,
  type PartitionEnds,
  readTopic,
  type Unread,
} from '../../kafka/topic-reader.ts'
import { boundsOf, offsetProblems, type SinkOffset } from './sink-bounds.ts'
import type { EventsTable } from './stored-rows.ts'
import { addFinding, emptyVerdict, type Finding, type FindingKind, type Verdict } from './verdict.ts'
import { judgePending, lookUpAcked } from './verify-acked.ts'
import type { VerifyContext } from './verify-context.ts'
import { noteUnreadPartitions } from './verify-group.ts'
import { RecordComparison } from './verify-records.ts'
import * as sql from './verify-sql.ts'

export type { Finding, FindingKind, Verdict } from './verdict.ts'

export interface VerifyOptions {
  databaseUrl: string
  /** `host:port`, comma-separated. */
  kafkaBootstrapServers: string
  topic: string
  /** The sinks' consumer group, if not the default one of the topic. */
  groupId?: string
  /** File of acknowledged events, see ack-file.ts; `-` is standard input. */
  ackedFile?: string
  /** Called for each missing or different event. */
  onFinding?: (kind: FindingKind, finding: Finding) => void
  /** Called a few times a second. */
  onProgress?: (progress: VerifyProgress) => void
  /** Cancels the comparison; what it created in Kafka and PostgreSQL is removed. */
  signal?: AbortSignal
  /** TLS and SASL options of kafkajs. */
  kafkaAccess?: Omit<KafkaAccess, 'brokers'>
  /** EVENTS_RETENTION_DAYS and DEAD_LETTERS_RETENTION_DAYS, by which `firehose maintain` deletes; for ever if undefined. */
  retentionDays?: number | undefined
  deadLetterDays?: number | undefined
  /** By which retention is judged, instead of PostgreSQL's time. */
  now?: Date
  /** Records compared at a time, which bounds memory; 20,000 by default. */
  rangeRecords?: number
  /** Reading ends when Kafka delivers nothing for this long; 15,000 by default. */
  stuckMs?: number
}

export interface VerifyProgress {
  records: number
  /** Total of offsets to read (some are transaction markers); 0 while the ack file is read, which comes first. */
  records_total: number
  acked: number
}

const RANGE_RECORDS = 20_000
const RANGE_BYTES = 16 * 1024 * 1024
const STUCK_MS = 15_000
/** Limit for the list of ids stored more than once. */
const TWICE_LIMIT = 100

/**
 * Compares the records in Kafka, and the acknowledged events, with the tables in PostgreSQL. Changes neither; may run
 * while the services are running.
 *
 * @throws if the topic does not exist, or Kafka or PostgreSQL cannot be reached; the signal's reason
 */
export async function verify(options: VerifyOptions): Promise<Verdict> {
  const { signal } = options
  signal?.throwIfAborted()
  const client = await connect(options.databaseUrl, () => ({ application_name: 'firehose-verify' }))
  // This also cancels the current query.
  const stop = () => void client.end().catch(() => {})
  signal?.addEventListener('abort', stop)
  try {
    signal?.throwIfAborted()
    await checkSupported(client)
    const table = { userIdType: await readUserIdType(client), hasUniqueId: await hasUniqueId(client) }
    await client.query(sql.SESSION) // on its own: what it sets holds from the next transaction on
    await client.query(sql.TABLES)
    return await compare(client, table, options)
  } catch (error) {
    signal?.throwIfAborted()
    throw error
  } finally {
    signal?.removeEventListener('abort', stop)
    await client.end()
  }
}

/** @throws if the table lacks columns */
async function readUserIdType(client: Client): Promise<UserIdType> {
  const { rows } = await client.query<{ type: string; missing: string[] | null }>(TABLE)
  const missing = rows[0]?.missing ?? []
  if (missing.length > 0) {
    throw new Error(`The table "events" lacks ${missing.join(', ')}: run "npx firehose migrate" first.`)
  }
  return rows[0]?.type === 'text' ? 'text' : 'bigint'
}

async function compare(client: Client, table: EventsTable, options: VerifyOptions): Promise<Verdict> {
  const access = { ...options.kafkaAccess, brokers: options.kafkaBootstrapServers.split(',') }
  const { topic, ackedFile, retentionDays, deadLetterDays, now, signal } = options
  const { clusterId } = await describeTopic(access, topic)
  const verdict = emptyVerdict(sinkGroupId(topic, options.groupId))
  let total = 0
  const context: VerifyContext = {
    client,
    clusterId,
    topic,
    table,
    limits: { items: options.rangeRecords ?? RANGE_RECORDS, bytes: RANGE_BYTES },
    retention: { eventDays: retentionDays ?? null, letterDays: deadLetterDays ?? null, now: now ?? null },
    verdict,
    notYetRead: new Map(),
    pending: 0,
    isIncomplete: false,
    hasExpired: false,
    add: (kind, finding) => {
      addFinding(verdict, kind, finding)
      options.onFinding?.(kind, finding)
    },
    report: () => {
      const { records, not_yet_read, acked } = verdict
      options.onProgress?.({ records: records + not_yet_read, records_total: total, acked })
    },
  }

  // The order matters while events flow. Acknowledged events are in the topic before its ends are queried, and events
  // below the offsets are committed before they are looked up.
  if (ackedFile !== undefined) await lookUpAcked(context, ackedFile, signal)
  const before = await sinkOffsets(client, topic)
  const { partitions } = await describeTopic(access, topic)
  const after = await sinkOffsets(client, topic)
  context.hasExpired = partitions.some(({ low }) => low > 0n)
  const bounds = boundsOf(partitions, before, clusterId)
  verdict.problems.push(...offsetProblems(partitions, before, after, clusterId))
  total = partitions.reduce((sum, { low, high }) => sum + Number(high - low), 0)

  const comparison = new RecordComparison(context, bounds)
  const markers = new MarkerCheck()
  const stopMarkers = onFetched((fetched) => {
    if (fetched.topic === topic) markers.take(fetched)
  })
  const unread = await readTopic(access, topic, partitions, {
    onRecords: async (records) => await comparison.take(records),
    stuckMs: options.stuckMs ?? STUCK_MS,
    ...(signal === undefined ? {} : { signal }),
  }).finally(stopMarkers)
  await comparison.end()
  verdict.problems.push(...markers.problems())
  if (unread.length > 0) noteUnread(context, unread, (await describeTopic(access, topic)).partitions)
  await noteUnreadPartitions(context, async () => await describeGroup(access, verdict.group), signal)
  await judgePending(context)
  verdict.problems.push(...(await storedTwice(client)))
  return { ...verdict, ok: isOk(verdict) }
}

/** Notes the ranges that could not be read, and why. */
function noteUnread(context: VerifyContext, unread: readonly Unread[], ends: readonly PartitionEnds[]): void {
  const { verdict } = context
  context.isIncomplete = true
  const lastStable = new Map(ends.map((each) => [each.partition, each.lastStable]))
  for (const { partition, from, to } of unread) {
    const range = `partition ${partition}: offsets ${from} to ${to - 1n}`
    if ((lastStable.get(partition) ?? to) > from) {
      verdict.problems.push(`${range} were not delivered by Kafka in time: run verify again`)
      continue
    }
    verdict.held_back.push({ partition, from: `${from}`, to: `${to}` })
    verdict.held_back_count += Number(to - from)
    verdict.problems.push(
      `${range} are held back by an open transaction of another producer and were not checked: end it in its ` +
        'producer, or abort it (kafka-transactions.sh find-hanging, abort; "npx firehose doctor" prints the commands), then run verify again',
    )
  }
}

async function sinkOffsets(client: Client, topic: string): Promise<SinkOffset[]> {
  return (await client.query<SinkOffset>(sql.SINK_OFFSETS, [topic])).rows
}

/** Ids stored more than once. Looked for only without a unique index on event_id alone, which would prevent them. */
async function storedTwice(client: Client): Promise<string[]> {
  if (await hasUniqueId(client)) return []
  const twice = await client.query<{ event_id: string }>(sql.STORED_TWICE, [TWICE_LIMIT])
  return [
    'events has no unique index on event_id alone, so an id can be stored twice',
    ...twice.rows.map(({ event_id }) => `${event_id} is stored more than once`),
  ]
}

async function hasUniqueId(client: Client): Promise<boolean> {
  const { rows } = await client.query<{ is_unique: boolean }>(sql.HAS_UNIQUE_ID)
  return rows[0]?.is_unique === true
}

function isOk(verdict: Verdict): boolean {
  const bad =
    verdict.missing_count +
    verdict.different_count +
    verdict.acked_missing_count +
    verdict.acked_different_count
  return bad === 0 && verdict.problems.length === 0
}

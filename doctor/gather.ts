import type { KafkaConnection } from '../kafka/client.ts'
import { sleep } from '../platform/sleep.ts'
import type { UserIndexTime } from '../postgres/partitions/settings.ts'
import type { Watermarks } from '../kafka/topic-ends.ts'
import type { Comparison, Facts, HeldBack, Progress } from './facts.ts'
import { readKeyFacts } from './facts-access.ts'
import { kafkaDisk, postgresDisk } from './facts-disk.ts'
import { KafkaProbe } from './facts-kafka.ts'
import { type LockFacts, type OffsetFacts, PostgresProbe } from './facts-postgres.ts'
import { askService, type ServiceAddress } from './facts-services.ts'
import { attempt, attemptWithin } from './attempt.ts'

export interface DoctorOptions {
  kafka: KafkaConnection
  databaseUrl: string
  /** Where that is, for messages. */
  databaseAddress: string
  topic: string
  groupId: string
  sessionTimeoutMs: number
  /** The data directory of `npm start`, in case Kafka is the one that it started. */
  startDir: string
  api: ServiceAddress
  sink: ServiceAddress
  maintain: ServiceAddress
  userIndex: UserIndexTime
  retentionDays: number | undefined
  deadLetterDays: number | undefined
  /** API_KEYS_FILE. */
  keysFile: string | undefined
  keyEventsPerSecond: number | undefined
}

/** How long Kafka and PostgreSQL each may take to answer; monitoring systems do not wait longer. */
const LIMIT_MS = 10_000
/** The time between the two observations, from which rates are computed. */
const APART_MS = 2_000

/** Gathers all facts, concurrently where possible. A service that does not answer is a fact too. Never rejects. */
export async function gather(options: DoctorOptions): Promise<Facts> {
  const kafkaProbe = new KafkaProbe(options.kafka, options.topic, options.groupId)
  const postgresProbe = new PostgresProbe(options.databaseUrl)
  try {
    const [kafka, postgres, api, sink, maintain] = await Promise.all([
      attemptWithin(LIMIT_MS, async () => await kafkaProbe.facts()),
      attemptWithin(LIMIT_MS, async () => await postgresProbe.facts()),
      askService(options.api),
      askService(options.sink),
      askService(options.maintain),
    ])
    const answers = kafka.ok && postgres.ok && kafka.value.topicExists
    const locks = postgres.ok && postgres.value.locks.ok ? postgres.value.locks.value : []
    const observe = async () =>
      await observeTwice(
        kafkaProbe,
        postgresProbe,
        kafka.ok ? kafka.value.clusterId : '',
        options.topic,
        locks,
      )
    return {
      settings: {
        brokers: options.kafka.brokers,
        topic: options.topic,
        groupId: options.groupId,
        sessionTimeoutMs: options.sessionTimeoutMs,
        database: options.databaseAddress,
        userIndex: options.userIndex,
        retentionDays: options.retentionDays,
        deadLetterDays: options.deadLetterDays,
        keyEventsPerSecond: options.keyEventsPerSecond,
      },
      kafka,
      postgres,
      comparison: answers ? await attemptWithin(2 * LIMIT_MS + APART_MS, observe) : undefined,
      disks: [
        ...(kafka.ok ? [await kafkaDisk(kafka.value, options.startDir)] : []),
        ...(postgres.ok ? [await postgresDisk(postgres.value)] : []),
      ],
      keyFile: options.keysFile === undefined ? undefined : await readKeyFacts(options.keysFile),
      api,
      sink,
      maintain,
    }
  } finally {
    kafkaProbe.close()
    postgresProbe.close()
  }
}

interface Position {
  atMs: number
  offsets: OffsetFacts
  watermarks: ReadonlyMap<number, Watermarks>
}

async function observeTwice(
  kafka: KafkaProbe,
  postgres: PostgresProbe,
  clusterId: string,
  topic: string,
  locks: readonly LockFacts[],
): Promise<Comparison> {
  const position = async (): Promise<Position> => {
    const offsets = await postgres.offsets(clusterId, topic)
    // After the offsets: otherwise a sink that writes meanwhile would seem to be ahead of Kafka.
    const watermarks = await kafka.watermarks()
    return { atMs: Date.now(), offsets, watermarks }
  }
  const first = await position()
  await sleep(APART_MS)
  const second = await position()
  const unread = unreadOf(second)
  const oldestMs = unread.size === 0 ? second.atMs : await kafka.oldestUnread(unread, second.atMs)
  const heldBack = heldAtBoth(first, second)
  const heldFrom = new Map(heldBack.map(({ partition, from }) => [partition, from]))
  const heldNow = new Set(locks.length === 0 ? [] : (await postgres.locks()).map(lockKey))
  return {
    ...second,
    group: await attempt(async () => await kafka.group()),
    locks: locks.filter((lock) => heldNow.has(lockKey(lock))),
    progress: compare(first, second, (second.atMs - oldestMs) / 1_000),
    heldBack,
    heldSinceMs: heldFrom.size === 0 ? undefined : await kafka.oldestUnread(heldFrom, second.atMs),
  }
}

function lockKey({ id, table, mode }: LockFacts): string {
  return `${id} ${table} ${mode}`
}

/** The first offset that is not stored yet and has not expired, by partition; only partitions that have one. */
function unreadOf({ offsets, watermarks }: Position): Map<number, bigint> {
  return new Map(
    [...watermarks].flatMap(([partition, { low, high }]): [number, bigint][] => {
      const next = offsets.offsets.get(partition)?.nextOffset ?? low
      const from = next > low ? next : low
      return from < high ? [[partition, from]] : []
    }),
  )
}

/** Records held back by the same transaction at both observations: short transactions are normal. Pure. */
function heldAtBoth(first: Position, second: Position): HeldBack[] {
  return [...second.watermarks]
    .filter(([partition, { lastStable, high }]) => {
      const before = first.watermarks.get(partition)
      return lastStable < high && before?.lastStable === lastStable && before.high > lastStable
    })
    .map(([partition, { lastStable, high }]) => ({ partition, from: lastStable, to: high }))
}

/** The progress between two observations. Ignores partitions and offsets that are only in the second one. Pure. */
function compare(first: Position, second: Position, oldestS: number): Progress {
  let produced = 0n
  let stored = 0n
  let unread = 0n
  for (const [partition, { high }] of second.watermarks) {
    produced += high - (first.watermarks.get(partition)?.high ?? high)
    const before = first.offsets.offsets.get(partition)?.nextOffset
    const now = second.offsets.offsets.get(partition)?.nextOffset
    if (before !== undefined && now !== undefined) stored += now - before
  }
  for (const [partition, from] of unreadOf(second))
    unread += (second.watermarks.get(partition)?.high ?? from) - from
  return {
    seconds: (second.atMs - first.atMs) / 1_000,
    produced: Number(produced),
    stored: Number(stored),
    unread: Number(unread),
    oldestS,
  }
}

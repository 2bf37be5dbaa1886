import type pg from 'pg'
import { duration } from '../platform/units.ts'
import { decodeRecord } from '../event/record/decode.ts'
import type { KafkaConnection } from '../kafka/client.ts'
import { rootMessage } from '../kafka/errors.ts'
import { readLatestRecords } from '../kafka/latest-records.ts'
import { createLogger } from '../platform/log.ts'
import { readNowMs } from '../postgres/now.ts'
import { AppendDelay, type DelayRange } from '../sink-worker/append-delay.ts'

/*
 * Retention compares PostgreSQL's clock with received_at, which the clock of an API has set. If one of the two is wrong by
 * days, events would be deleted days too early, so nothing is deleted while a clock is off.
 */

/** How much a clock may be off. Retention is at least a day. */
const TOLERANCE_MS = 3_600_000
/** Of each partition: APIs take partitions in turn, so these are of all that have sent lately. */
const LATEST_RECORDS = 100
const CLIENT_ID = 'firehose-maintain'
const REMEDY = 'Let NTP set the clocks of all machines (timedatectl set-ntp true)'

/** The clocks that retention depends on, and how they are compared. */
export interface Clocks {
  /** The time of the run is that of --now, so PostgreSQL's clock does not matter. */
  isRehearsal: boolean
  /** The topic in which Kafka's clock and those of the APIs are seen; undefined: they are not compared. */
  kafka?: { connection: KafkaConnection; topic: string } | undefined
}

/**
 * Why nothing can be deleted by age now, in one sentence; undefined if the clocks agree.
 *
 * @param nowMs PostgreSQL's time when the run began, by which ages are judged: its clock may have been set right since, or
 *   another server may have taken over
 * @throws the driver's error
 */
export async function findClockProblem(
  db: Pick<pg.ClientBase, 'query'>,
  { isRehearsal, kafka }: Clocks,
  nowMs: number,
): Promise<string | undefined> {
  const problem = isRehearsal
    ? undefined
    : postgresProblem(Math.max(nowMs - Date.now(), await measurePostgresAhead(db)))
  if (problem !== undefined || kafka === undefined) return problem
  try {
    return kafkaProblem(await readAppendDelay(kafka))
  } catch (error) {
    return `the clocks of Kafka and of the APIs are compared before anything is deleted, but Kafka cannot be read: ${rootMessage(error)}`
  }
}

/** How far PostgreSQL's clock is ahead of this machine's; milliseconds, negative: behind. */
async function measurePostgresAhead(db: Pick<pg.ClientBase, 'query'>): Promise<number> {
  const askedMs = Date.now()
  const nowMs = await readNowMs(db)
  return nowMs - (askedMs + Date.now()) / 2
}

/** Pure. */
export function postgresProblem(aheadMs: number): string | undefined {
  if (Math.abs(aheadMs) <= TOLERANCE_MS) return undefined
  return `PostgreSQL's clock is ${duration(Math.abs(aheadMs) / 1_000)} ${aheadMs > 0 ? 'ahead of' : 'behind'} this machine's. ${REMEDY}`
}

/** @param delay of records: when Kafka appended them, less received_at. Pure. */
export function kafkaProblem(delay: DelayRange | undefined): string | undefined {
  if (delay === undefined) return undefined
  const { min, max } = delay
  if (min * 1_000 < -TOLERANCE_MS)
    return `Kafka appended a record ${duration(-min)} before its received_at, so the clock of an API is ahead of Kafka's. ${REMEDY}`
  if (max * 1_000 > TOLERANCE_MS)
    return `Kafka appended a record ${duration(max)} after its received_at, so the clock of an API is behind Kafka's, or another producer sends older events. ${REMEDY}`
  return undefined
}

/**
 * Of the latest records, in seconds; undefined if there is none whose time is Kafka's. Records that are no events do not
 * count, nor do those without received_at: for them it is Kafka's time.
 *
 * @throws errors of kafkajs
 */
async function readAppendDelay({
  connection,
  topic,
}: NonNullable<Clocks['kafka']>): Promise<DelayRange | undefined> {
  const logger = createLogger('maintain', 'silent')
  const latest = await readLatestRecords(connection, topic, LATEST_RECORDS, CLIENT_ID, logger)
  const delay = new AppendDelay()
  for (const tailed of latest?.records ?? []) {
    if (!tailed.isAppendTime) continue
    const record = { ...tailed, headers: {} }
    // A user_id of type text may be an integer, too.
    const decoded = decodeRecord(record, { clusterId: latest?.clusterId ?? '', topic }, 'text')
    if (decoded.ok) delay.observe([{ record, row: decoded.row }])
  }
  return delay.read()
}

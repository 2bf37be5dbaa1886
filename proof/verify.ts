import { Client } from 'pg'
import { v5 as uuidV5 } from 'uuid'
import { readAckFile } from './ack-file.ts'
import { copyRows, copyValue } from './copy-rows.ts'
import {
  describeTopic,
  type KafkaAccess,
  type PartitionEnds,
  readTopic,
  type TopicRecord,
} from './read-topic.ts'
import { emptyVerdict, type Finding, type Verdict } from './verdict.ts'
import * as sql from './verify-sql.ts'

export type { Finding, Verdict } from './verdict.ts'

export interface VerifyOptions {
  databaseUrl: string
  /** `host:port`, comma-separated. */
  kafkaBootstrapServers: string
  topic: string
  /** Events that were acknowledged, see ack-file.ts. */
  ackedFile?: string
  /** Called after each range. */
  onProgress?: (progress: VerifyProgress) => void
  /** TLS and SASL, as kafkajs takes them. */
  kafkaAccess?: Omit<KafkaAccess, 'brokers'>
  /** Records compared at a time, which bounds memory; 50,000 by default. */
  rangeRecords?: number
  /** Reading ends when Kafka delivers nothing for so long; 15,000 by default. */
  stuckMs?: number
}

export interface VerifyProgress {
  records: number
  /** Offsets to read in all (some are transaction markers). */
  records_total: number
  acked: number
}

const RANGE_RECORDS = 50_000
/** A range of large records ends sooner. */
const RANGE_BYTES = 64 * 1024 * 1024
const LIST_LIMIT = 100
/** The record format's namespace for records without event_id, restated: a change of the sink's is to be found here. */
const RECORD_NAMESPACE = '0c5e2bd5-6b4c-4b0e-9f0c-3a7d3c7fd6a1'
const CANONICAL_START = Buffer.from('{"event_id":"')

/**
 * Compares what Kafka holds, and what was acknowledged, with what PostgreSQL holds. Changes nothing in either; may run
 * beside the services.
 * @throws the topic does not exist; Kafka or PostgreSQL cannot be reached
 */
export async function verify(options: VerifyOptions): Promise<Verdict> {
  const access = { ...options.kafkaAccess, brokers: options.kafkaBootstrapServers.split(',') }
  const client = new Client({ connectionString: options.databaseUrl, application_name: 'firehose-verify' })
  client.on('error', () => {}) // the query that waits is rejected with it
  await client.connect()
  try {
    await client.query(`${sql.SESSION}; ${sql.TABLES}`)
    // Offsets first: what they cover is committed, and the topic's ends, asked later, are not before them.
    const offsets = await client.query<{ cluster_id: string; partition: number; next_offset: string }>(
      sql.SINK_OFFSETS,
      [options.topic],
    )
    const { clusterId, partitions } = await describeTopic(access, options.topic)
    const verification = new Verification(options, client, clusterId)
    verification.setBounds(offsets.rows, partitions)
    return await verification.run(access, partitions)
  } finally {
    await client.end()
  }
}

class Verification {
  readonly #options: VerifyOptions
  readonly #client: Client
  readonly #clusterId: string
  readonly #verdict: Verdict = emptyVerdict()
  #bounds = new Map<number, bigint>()
  #total = 0
  #rangeRecords = 0
  #rangeBytes = 0

  constructor(options: VerifyOptions, client: Client, clusterId: string) {
    this.#options = options
    this.#client = client
    this.#clusterId = clusterId
  }

  /** Finds up to where the sink has read each partition; notes what cannot be right about it (I9). */
  setBounds(
    rows: readonly { cluster_id: string; partition: number; next_offset: string }[],
    partitions: readonly PartitionEnds[],
  ): void {
    const own = rows.filter((row) => row.cluster_id === this.#clusterId)
    const next = new Map(own.map((row) => [row.partition, BigInt(row.next_offset)]))
    const { problems } = this.#verdict
    if (own.length === 0 && rows.length > 0) {
      problems.push(`sink_offsets has this topic only under other clusters, not under ${this.#clusterId}`)
    }
    for (const { partition, low, high } of partitions) {
      const bound = next.get(partition) ?? low
      next.delete(partition)
      if (bound < low)
        problems.push(
          `partition ${partition}: offsets ${bound} to ${low - 1n} expired before they were stored`,
        )
      if (bound > high)
        problems.push(
          `partition ${partition} ends at ${high}, but ${bound} was stored: was the topic recreated?`,
        )
      this.#bounds.set(partition, bound)
      this.#total += Number(high - low)
    }
    for (const partition of next.keys())
      problems.push(`partition ${partition} is stored, but Kafka does not know it`)
  }

  async run(access: KafkaAccess, partitions: readonly PartitionEnds[]): Promise<Verdict> {
    await this.#client.query('INSERT INTO verify_bounds SELECT * FROM unnest($1::int[], $2::bigint[])', [
      [...this.#bounds.keys()],
      [...this.#bounds.values()].map(String),
    ])
    const stuckMs = this.#options.stuckMs ?? 15_000
    const unread = await readTopic(
      access,
      this.#options.topic,
      partitions,
      (records) => this.#take(records),
      stuckMs,
    )
    await this.#judgeRange()
    for (const { partition, from, to } of unread) {
      this.#verdict.problems.push(
        `partition ${partition}: offsets ${from} to ${to - 1n} could not be read (an open transaction holds them back?)`,
      )
    }
    await this.#list()
    await this.#findStoredTwice()
    if (this.#options.ackedFile !== undefined) await this.#judgeAcked(this.#options.ackedFile)
    const verdict = this.#verdict
    const bad =
      verdict.missing_count +
      verdict.different_count +
      verdict.acked_missing_count +
      verdict.acked_different_count
    return { ...verdict, ok: bad === 0 && verdict.problems.length === 0 }
  }

  async #take(records: TopicRecord[]): Promise<void> {
    const coordinates = `${this.#clusterId}/${this.#options.topic}`
    await copyRows(this.#client, 'verify_records', records, ({ partition, offset, timestampMs, value }) => {
      // The canonical form has its event_id first; only other forms may lack it.
      const hasId = value?.subarray(0, CANONICAL_START.length).equals(CANONICAL_START) ?? true
      const id = hasId ? '\\N' : uuidV5(`${coordinates}/${partition}/${offset}`, RECORD_NAMESPACE)
      this.#rangeBytes += value?.length ?? 0
      return `${partition}\t${offset}\t${timestampMs}\t${id}\t${copyValue(value)}`
    })
    this.#rangeRecords += records.length
    const limit = this.#options.rangeRecords ?? RANGE_RECORDS
    if (this.#rangeRecords >= limit || this.#rangeBytes >= RANGE_BYTES) await this.#judgeRange()
  }

  async #judgeRange(): Promise<void> {
    const client = this.#client
    await client.query(sql.JUDGE_RECORDS, [this.#clusterId, this.#options.topic])
    const { rows } = await client.query<Record<RangeCount, number>>(sql.COUNT_VERDICTS)
    const [counts] = rows
    if (counts === undefined) throw new Error('no counts')
    const newlyStored = (await client.query(sql.KEEP_STORED)).rowCount ?? 0
    await client.query(`${sql.KEEP_UNREAD}; ${sql.KEEP_FINDINGS}; ${sql.EMPTY_RANGE}`)
    const verdict = this.#verdict
    verdict.records += counts.records
    verdict.not_yet_read += counts.unread
    verdict.stored += newlyStored
    verdict.duplicates += counts.matched - newlyStored
    verdict.dead += counts.dead
    verdict.missing_count += counts.missing
    verdict.different_count += counts.different
    this.#rangeRecords = 0
    this.#rangeBytes = 0
    this.#report()
  }

  async #list(): Promise<void> {
    const missing = await this.#client.query<Finding>(sql.LIST_FINDINGS, ['missing', LIST_LIMIT])
    const different = await this.#client.query<Finding>(sql.LIST_FINDINGS, ['different', LIST_LIMIT])
    this.#verdict.missing = missing.rows
    this.#verdict.different = different.rows
  }

  async #findStoredTwice(): Promise<void> {
    const { rows } = await this.#client.query<{ is_unique: boolean }>(sql.HAS_UNIQUE_ID)
    if (rows[0]?.is_unique) return
    this.#verdict.problems.push(
      'events has no unique index on event_id alone, so nothing keeps an id from being stored twice',
    )
    const twice = await this.#client.query<{ event_id: string }>(sql.STORED_TWICE, [LIST_LIMIT])
    for (const { event_id } of twice.rows) this.#verdict.problems.push(`${event_id} is stored more than once`)
  }

  async #judgeAcked(path: string): Promise<void> {
    for await (const lines of readAckFile(path)) {
      await copyRows(
        this.#client,
        'verify_acked',
        lines,
        ({ eventId, body }) => `${eventId}\t${copyValue(body)}`,
      )
      const { rows } = await this.#client.query<{
        verdict: AckedVerdict
        count: number
        findings: Finding[]
      }>(sql.JUDGE_ACKED, [this.#clusterId, this.#options.topic, LIST_LIMIT])
      await this.#client.query('TRUNCATE verify_acked')
      for (const row of rows) this.#countAcked(row.verdict, row.count, row.findings)
      this.#report()
    }
  }

  #countAcked(kind: AckedVerdict, count: number, findings: Finding[]): void {
    const verdict = this.#verdict
    verdict.acked += count
    if (kind === 'stored') verdict.acked_stored += count
    else if (kind === 'dead') verdict.acked_dead += count
    else if (kind === 'unread') verdict.acked_not_yet_read += count
    else {
      verdict[`acked_${kind}_count`] += count
      verdict[`acked_${kind}`].push(...findings.slice(0, LIST_LIMIT - verdict[`acked_${kind}`].length))
    }
  }

  #report(): void {
    const { records, not_yet_read, acked } = this.#verdict
    this.#options.onProgress?.({ records: records + not_yet_read, records_total: this.#total, acked })
  }
}

type RangeCount = 'records' | 'unread' | 'matched' | 'dead' | 'missing' | 'different'
type AckedVerdict = 'stored' | 'dead' | 'unread' | 'missing' | 'different'

import type { Client } from 'pg'
import { v5 as uuidV5 } from 'uuid'
import { copyBytes, copyRows } from './copy-rows.ts'
import { countsOf, findingsOf, judgeRange, type RangeLimits } from './judge-range.ts'
import type { TopicRecord } from '../../kafka/topic-reader.ts'
import { sentCheck } from './sent-check.ts'
import type { Verdict } from './verdict.ts'
import type { VerifyContext } from './verify-context.ts'
import * as sql from './verify-sql.ts'

/** The namespace of ids for records without event_id. Restated here, so that verify detects a change in the sink. */
const RECORD_NAMESPACE = '0c5e2bd5-6b4c-4b0e-9f0c-3a7d3c7fd6a1'
const CANONICAL_START = Buffer.from('{"event_id":"')

/** Compares records with the tables, in ranges: while PostgreSQL judges one, the next is collected. */
export class RecordComparison {
  readonly #context: VerifyContext
  readonly #client: Client
  readonly #verdict: Verdict
  readonly #limits: RangeLimits
  /** By partition, the end (exclusive) of what the sink has stored. */
  readonly #bounds: ReadonlyMap<number, bigint>
  #range: TopicRecord[] = []
  #rangeBytes = 0
  #judging: Promise<void> = Promise.resolve()

  constructor(context: VerifyContext, bounds: ReadonlyMap<number, bigint>) {
    this.#context = context
    this.#client = context.client
    this.#verdict = context.verdict
    this.#limits = context.limits
    this.#bounds = bounds
  }

  /** @throws the failure of an earlier range */
  async take(records: readonly TopicRecord[]): Promise<void> {
    for (const record of records) {
      // Records that the sink has yet to read are only counted, unless events of the ack file are still to be found.
      if (this.#isUnread(record)) {
        this.#verdict.not_yet_read += 1
        const { notYetRead } = this.#context
        notYetRead.set(record.partition, (notYetRead.get(record.partition) ?? 0) + 1)
        if (this.#context.pending === 0) continue
      }
      this.#range.push(record)
      this.#rangeBytes += record.value?.length ?? 0
    }
    if (this.#range.length >= this.#limits.items || this.#rangeBytes >= this.#limits.bytes)
      await this.#judge()
    else this.#context.report()
  }

  /** Judges the last range. @throws as `take` does */
  async end(): Promise<void> {
    await this.#judge()
    await this.#judging
    const { rows } = await this.#client.query<{ count: string }>(sql.COUNT_DISTINCT)
    const matched = this.#verdict.stored
    this.#verdict.stored = Number(rows[0]?.count)
    this.#verdict.duplicates = matched - this.#verdict.stored
  }

  /** Starts judging the range as soon as PostgreSQL has finished the previous one. */
  async #judge(): Promise<void> {
    await this.#judging
    const range = this.#range
    this.#range = []
    this.#rangeBytes = 0
    this.#judging = this.#judgeRange(range)
    this.#judging.catch(() => {}) // the next `await` of it throws
  }

  async #judgeRange(range: readonly TopicRecord[]): Promise<void> {
    const { clusterId, topic, userIdType } = this.#context
    await judgeRange(
      this.#client,
      async () => await copyRows(this.#client, 'verify_records', range, (record) => this.#row(record)),
      sql.judgeRecords(userIdType),
      [clusterId, topic],
      async () => await this.#keep(),
    )
    this.#context.report()
  }

  async #keep(): Promise<void> {
    const client = this.#client
    const verdict = this.#verdict
    const count = await countsOf(client, sql.COUNT_VERDICTS)
    const [changed, dead] = [count('changed'), count('dead')]
    const stored = count('stored') + changed
    const bad = count('missing') + count('different')
    verdict.records += stored + dead + bad
    verdict.stored += stored
    verdict.changed += changed
    verdict.dead += dead
    if (stored > 0) await client.query(sql.KEEP_MATCHED)
    if (this.#context.pending > 0) await client.query(sql.KEEP_PLACES)
    if (bad === 0) return
    for (const { kind, finding } of await findingsOf(client, sql.FINDINGS)) this.#context.add(kind, finding)
  }

  #row(record: TopicRecord): string {
    const { partition, offset, value, timestampMs } = record
    // The canonical form starts with event_id; only other forms can lack it.
    const hasId = value?.subarray(0, CANONICAL_START.length).equals(CANONICAL_START) ?? true
    const { clusterId, topic } = this.#context
    const id = hasId ? '\\N' : uuidV5(`${clusterId}/${topic}/${partition}/${offset}`, RECORD_NAMESPACE)
    return [
      partition,
      offset,
      timestampMs,
      this.#isUnread(record),
      id,
      value === null ? '\\N' : (sentCheck(value) ?? '\\N'),
      copyBytes(value),
    ].join('\t')
  }

  #isUnread({ partition, offset }: TopicRecord): boolean {
    return offset >= (this.#bounds.get(partition) ?? 0n)
  }
}

import type { Client } from 'pg'
import { v5 as uuidV5 } from 'uuid'
import { copyBytes, copyRows } from './copy-rows.ts'
import { keepRowsInPlace } from './keep-rows-in-place.ts'
import { type Count, countsOf, findingsOf, inRange, judge, type RangeLimits } from './judge-range.ts'
import type { TopicRecord } from '../../kafka/topic-reader.ts'
import { isCanonical, lookupId } from './lookup-id.ts'
import * as sql from './records-sql.ts'
import { sentCheck } from './sent-check.ts'
import { storedRows } from './stored-rows.ts'
import type { Verdict } from './verdict.ts'
import type { VerifyContext } from './verify-context.ts'

/** The namespace of ids for records without event_id. Restated here, so that verify detects a change in the sink. */
const RECORD_NAMESPACE = '0c5e2bd5-6b4c-4b0e-9f0c-3a7d3c7fd6a1'
/** The columns of #row(). */
const ROWS = 'verify_records (partition, "offset", timestamp_ms, is_unread, coordinate_id, sent_check, value)'

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
    const client = this.#client
    const ids = range.flatMap((record) => (this.#isUnread(record) ? [] : (this.#lookupId(record) ?? [])))
    await inRange(
      client,
      async () => await copyRows(client, ROWS, range, (record) => this.#row(record)),
      async () => {
        let count = await this.#judgeByIds(ids)
        if (count('missing') + count('different') > 0) count = await this.#judgeAgain()
        await this.#keep(count)
      },
    )
    this.#context.report()
  }

  async #judgeByIds(ids: readonly string[]): Promise<Count> {
    const { clusterId, topic, retention, table } = this.#context
    const values = [clusterId, topic, retention.eventDays, retention.now]
    const rows = storedRows(table, ids, values)
    await judge(this.#client, sql.judgeRecords(table.userIdType, rows), values)
    return await countsOf(this.#client, sql.COUNT_VERDICTS)
  }

  /** Looks again for what was not found: maintenance may have moved it meanwhile, or deleted its dead letter. */
  async #judgeAgain(): Promise<Count> {
    const client = this.#client
    const { clusterId, topic, retention } = this.#context
    await keepRowsInPlace(client)
    await client.query(sql.KEEP_DOUBTFUL)
    if (retention.letterDays !== null)
      await client.query(sql.READ_HISTORY, [clusterId, topic, retention.letterDays, retention.now])
    const { rows } = await client.query<{ id: string | null }>(sql.READ_IDS)
    return await this.#judgeByIds(rows.flatMap(({ id }) => id ?? []))
  }

  async #keep(count: Count): Promise<void> {
    const client = this.#client
    const verdict = this.#verdict
    const [changed, dead, past] = [count('changed'), count('dead'), count('past_retention')]
    const stored = count('stored') + changed
    const bad = count('missing') + count('different')
    verdict.records += stored + dead + past + bad
    verdict.stored += stored
    verdict.changed += changed
    verdict.dead += dead
    verdict.past_retention += past
    if (stored > 0) await client.query(sql.KEEP_MATCHED)
    if (this.#context.pending > 0) await client.query(sql.KEEP_PLACES)
    if (bad === 0) return
    for (const { kind, finding } of await findingsOf(client, sql.FINDINGS)) this.#context.add(kind, finding)
  }

  #row(record: TopicRecord): string {
    const { partition, offset, value, timestampMs } = record
    return [
      partition,
      offset,
      timestampMs,
      this.#isUnread(record),
      value === null || isCanonical(value) ? '\\N' : this.#coordinateId(record),
      value === null ? '\\N' : (sentCheck(value) ?? '\\N'),
      copyBytes(value),
    ].join('\t')
  }

  #lookupId(record: TopicRecord): string | undefined {
    const { value } = record
    if (value === null) return undefined
    return lookupId(value) ?? this.#coordinateId(record)
  }

  /** The id of the record if it has none of its own. */
  #coordinateId({ partition, offset }: TopicRecord): string {
    const { clusterId, topic } = this.#context
    return uuidV5(`${clusterId}/${topic}/${partition}/${offset}`, RECORD_NAMESPACE)
  }

  #isUnread({ partition, offset }: TopicRecord): boolean {
    return offset >= (this.#bounds.get(partition) ?? 0n)
  }
}

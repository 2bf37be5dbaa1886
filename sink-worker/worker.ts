/**
 * START HERE. One batch's story: fetched (consumer.ts) -> placed against the partition's position (partition.ts) ->
 * decoded (decode-record.ts) -> stored with its offsets in one transaction (store-batch.ts, write-batch.ts) ->
 * answered to the source. Whatever goes wrong has one way back: stop fetching, wait, read the offsets in PostgreSQL
 * again, seek there, go on.
 *
 * The worker owns the positions of its partitions; nothing else changes them.
 */
import type { Logger } from '../runtime/log.ts'
import { sleep } from '../runtime/sleep.ts'
import type { SinkCounters } from './metrics.ts'
import type { Database } from './database.ts'
import { decodeRecord } from './decode-record.ts'
import type { TopicIdentity } from './fence.ts'
import { stop, wasSeenBefore } from './offsets.ts'
import { OutageGuard } from './outage-guard.ts'
import { digestOf, type PartitionState, placeBatch } from './partition.ts'
import { readPositions } from './positions.ts'
import type { RecordBatch, RecordSource, SourceListener, TopicInspector } from './record-source.ts'
import type { DeadLetter, DecodedRow, KafkaRecord } from './records.ts'
import { BatchStore } from './store-batch.ts'
import type { WriteRequest, WriteResult } from './write-batch.ts'

/** A batch of one partition that waits for its transaction. */
interface Part {
  generation: number
  state: PartitionState
  to: bigint
  last: KafkaRecord
  rows: DecodedRow[]
  dead: DeadLetter[]
  settle: (stored: boolean) => void
}

export interface WorkerParts {
  source: RecordSource
  inspector: TopicInspector
  database: Database
  topic: string
  counters: SinkCounters
  logger: Logger
}

export class Worker implements SourceListener {
  readonly #parts: WorkerParts
  readonly #store: BatchStore
  readonly #stopSignal = new AbortController()
  readonly #outage: OutageGuard
  #identity: TopicIdentity
  /** Undefined before the first time: then we are starting. */
  #assigned: readonly number[] | undefined
  #partitions = new Map<number, PartitionState>()
  /** Counts the times that all positions were voided: what was begun before must not be finished. */
  #generation = 0
  #recovery: Promise<void> | undefined
  #pending: Part[] = []
  #writing: Promise<void> | undefined

  constructor(parts: WorkerParts) {
    this.#parts = parts
    this.#store = new BatchStore(parts.database)
    this.#outage = new OutageGuard(parts.logger, parts.counters, this.#stopSignal.signal)
    this.#identity = { clusterId: '', topic: parts.topic }
  }

  /** Waits for PostgreSQL and Kafka; creates the topic unless it was written before (then someone deleted it). */
  async prepare(): Promise<void> {
    await this.#outage.untilItWorks(async () => {
      await this.#parts.database.open()
      if (await wasSeenBefore(this.#parts.database, this.#parts.topic)) return
      const created = await this.#parts.inspector.createIfMissing()
      if (created) this.#parts.logger.info({ topic: this.#parts.topic }, 'topic created')
    })
  }

  assigned(partitions: readonly number[]): void {
    this.#assigned = partitions
    this.#parts.logger.info({ partitions }, 'partitions assigned')
    this.#startOver()
  }

  disturbed(): void {
    this.#startOver()
  }

  async batch(batch: RecordBatch): Promise<bigint | undefined> {
    const state = this.#partitions.get(batch.partition)
    const isReading = this.#recovery === undefined && !this.#isStopping
    if (!isReading || state === undefined || state.stopped !== undefined) return undefined
    const generation = this.#generation
    state.highWatermark = batch.highWatermark
    try {
      const records = await this.#place(state, batch)
      if (records === undefined || generation !== this.#generation) return undefined
      const to = batch.endOffset > state.next ? batch.endOffset : state.next
      const last = records.at(-1)
      if (last === undefined) return to
      return (await this.#enqueue(state, records, last, to)) ? to : undefined
    } catch (error) {
      this.#fail(error)
      return undefined
    }
  }

  /** What /health says. */
  status() {
    const { breaker } = this.#outage
    const partitions = [...this.#partitions.values()]
    const stopped = partitions.find((state) => state.stopped !== undefined)?.stopped
    const isStarting = this.#assigned === undefined || this.#recovery !== undefined
    const isPaused = breaker.kind !== 'running'
    return {
      state: isPaused ? 'paused' : isStarting ? 'starting' : stopped === undefined ? 'running' : 'stopped',
      reason: isPaused ? breaker.reason : stopped,
      paused_since: isPaused ? new Date(breaker.sinceMs).toISOString() : undefined,
      partitions: partitions.map(({ partition, next, highWatermark, stopped: why }) => ({
        partition,
        next_offset: Number(next),
        lag: Math.max(0, Number(highWatermark - next)),
        ...(why === undefined ? {} : { stopped: why }),
      })),
    }
  }

  /** I8: lets the transaction that runs end, up to `limitMs`, takes nothing new, and closes the connection. */
  async stop(limitMs: number): Promise<void> {
    this.#stopSignal.abort()
    this.#parts.source.fetchOnly([])
    await Promise.race([this.#writing, sleep(limitMs)])
    this.#parts.database.destroy() // ends a write that PostgreSQL does not answer; it rolls back
    await this.#writing
  }

  get #isStopping(): boolean {
    return this.#stopSignal.signal.aborted
  }

  /** The records of the batch that are next, or undefined when the batch is not to be taken. */
  async #place(state: PartitionState, batch: RecordBatch): Promise<readonly KafkaRecord[] | undefined> {
    const { source } = this.#parts
    const placement = placeBatch(state, batch)
    switch (placement.kind) {
      case 'take':
        state.check = null
        return placement.records
      case 'unexpected':
        this.#startOver()
        return undefined
      case 'other_topic':
        return this.#stopPartition(
          state,
          `the record at offset ${state.check?.offset} is not the one that was written`,
        )
      case 'check_missing': {
        const low = await this.#lowWatermark(state.partition)
        if (state.check !== null && low <= state.check.offset) {
          return this.#stopPartition(
            state,
            `the record at offset ${state.check.offset}, written before, is gone`,
          )
        }
        state.check = null
        return await this.#place(state, batch)
      }
      case 'gap': {
        if (!state.gapConfirmed) {
          state.gapConfirmed = true
          source.seek(state.partition, state.next)
          return undefined
        }
        this.#countExpired(state, await this.#lowWatermark(state.partition), placement.first)
        return batch.records
      }
    }
  }

  /** What is missing below the low watermark has expired; the rest of a gap are transaction markers. */
  #countExpired(state: PartitionState, low: bigint, first: bigint): void {
    const { counters, logger } = this.#parts
    const count = (low < first ? low : first) - state.next
    if (count <= 0n) return
    counters.expired += Number(count)
    const { partition, next } = state
    logger.error(
      { partition, from: String(next), count: String(count) },
      'records expired before they were read',
    )
  }

  async #lowWatermark(partition: number): Promise<bigint> {
    const description = await this.#parts.inspector.describe()
    const watermarks = description.partitions.get(partition)
    if (watermarks === undefined) throw new Error(`Kafka does not know partition ${partition} any more`)
    return watermarks.low
  }

  #stopPartition(state: PartitionState, reason: string): undefined {
    state.stopped = stop(reason).reason
    this.#parts.logger.error({ partition: state.partition, reason: state.stopped }, 'partition stopped')
    this.#fetchStarted()
  }

  async #enqueue(
    state: PartitionState,
    records: readonly KafkaRecord[],
    last: KafkaRecord,
    to: bigint,
  ): Promise<boolean> {
    const rows: DecodedRow[] = []
    const dead: DeadLetter[] = []
    for (const record of records) {
      const decoded = decodeRecord(record, this.#identity)
      if (decoded.ok) rows.push({ record, row: decoded.row })
      else dead.push(decoded.dead)
    }
    return await new Promise((settle) => {
      this.#pending.push({ generation: this.#generation, state, to, last, rows, dead, settle })
      this.#writing ??= this.#writePending()
    })
  }

  /** Everything that a fetch brought goes into one transaction: the other partitions' handlers run before it begins. */
  async #writePending(): Promise<void> {
    await new Promise(setImmediate)
    while (this.#pending.length > 0) {
      const parts = this.#pending.splice(0)
      await this.#write(parts.toSorted((a, b) => a.state.partition - b.state.partition))
    }
    this.#writing = undefined
  }

  async #write(parts: readonly Part[]): Promise<void> {
    const current = parts.filter(({ generation }) => generation === this.#generation && !this.#isStopping)
    for (const part of parts) if (!current.includes(part)) part.settle(false)
    if (current.length === 0) return

    const startedMs = performance.now()
    const outcome = await this.#store.store(this.#identity, toRequest(current))
    switch (outcome.kind) {
      case 'stored':
        this.#committed(current, outcome.result, performance.now() - startedMs)
        return
      case 'contention':
        for (const part of current) await this.#write([part])
        return
      case 'fence_lost':
        this.#parts.counters.fencesLost += 1
        this.#parts.logger.warn('another worker wrote these offsets; reading them again')
        this.#startOver()
        break
      case 'failed':
        this.#fail(outcome.error)
    }
    for (const part of current) part.settle(false)
  }

  #committed(parts: readonly Part[], result: WriteResult, durationMs: number): void {
    const { counters, logger } = this.#parts
    for (const { state, to, settle } of parts) {
      state.next = to
      state.gapConfirmed = false
      settle(true)
    }
    counters.stored += result.stored
    counters.duplicates += result.duplicates
    counters.dead += result.dead
    counters.lastCommitMs = Date.now()
    counters.observeBatch(result.stored + result.duplicates + result.dead, durationMs)
    if (result.dead > 0) logger.warn({ count: result.dead }, 'records went to dead_letters')
    this.#outage.close()
  }

  /** PostgreSQL or Kafka failed us: stop fetching until they are back. */
  #fail(error: unknown): void {
    this.#outage.open(error)
    this.#startOver()
  }

  /** Voids all positions, stops fetching, and reads them again from PostgreSQL. */
  #startOver(): void {
    this.#generation += 1
    this.#parts.source.fetchOnly([])
    if (this.#isStopping) return
    this.#recovery ??= this.#recover().finally(() => {
      this.#recovery = undefined
    })
  }

  async #recover(): Promise<void> {
    let generation: number
    do {
      generation = this.#generation
      await this.#outage.untilItWorks(async () => await this.#readPositions())
    } while (generation !== this.#generation && !this.#isStopping)
    if (this.#isStopping) return

    this.#outage.probe()
    for (const state of this.#partitions.values()) {
      if (state.stopped === undefined)
        this.#parts.source.seek(state.partition, state.check?.offset ?? state.next)
    }
    this.#fetchStarted()
    if ([...this.#partitions.values()].every((state) => state.highWatermark <= state.next))
      this.#outage.close()
  }

  #fetchStarted(): void {
    const started = [...this.#partitions.values()].filter((state) => state.stopped === undefined)
    this.#parts.source.fetchOnly(started.map((state) => state.partition))
  }

  async #readPositions(): Promise<void> {
    const { database, inspector, topic, logger } = this.#parts
    const description = await inspector.describe()
    this.#showLag(description.partitions)
    await database.open()
    this.#identity = { clusterId: description.clusterId, topic }
    const positions = await readPositions(database, description, this.#identity, this.#assigned ?? [])
    for (const { partition, stopped } of positions.values()) {
      const isNews = stopped !== undefined && this.#partitions.get(partition)?.stopped !== stopped
      if (isNews) logger.error({ partition, reason: stopped }, 'partition stopped')
    }
    this.#partitions = positions
  }

  /** During a database outage, Kafka still tells how far behind we are. */
  #showLag(partitions: ReadonlyMap<number, { high: bigint }>): void {
    for (const state of this.#partitions.values()) {
      state.highWatermark = partitions.get(state.partition)?.high ?? state.highWatermark
    }
  }
}

function toRequest(parts: readonly Part[]): WriteRequest {
  return {
    slices: parts.map(({ state, to, last }) => ({
      partition: state.partition,
      from: state.next,
      to,
      lastOffset: last.offset,
      lastDigest: digestOf(last),
    })),
    rows: parts.flatMap(({ rows }) => rows),
    dead: parts.flatMap(({ dead }) => dead),
  }
}

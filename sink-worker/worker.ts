/**
 * START HERE. The path of one batch: fetched (kafka-record-source.ts) -> placed against the partition's position
 * (place.ts) -> decoded (decode.ts) -> stored with its offsets in one transaction (store-batch.ts, write-batch.ts)
 * -> acknowledged to the source. onBatch() and #write() below are all of it.
 *
 * Every failure but a mistake of ours, which ends the process, is handled in the same way: stop fetching, wait, read the
 * positions from PostgreSQL again, fetch from them. What was in progress belongs to an epoch that is over then.
 */
import type { Logger } from '../platform/log.ts'
import { sleep } from '../platform/sleep.ts'
import type { Watermarks } from '../kafka/topic-ends.ts'
import { countTransaction, type SinkCounters } from './metrics.ts'
import type { Database } from '../postgres/database.ts'
import { checkNeeds } from '../postgres/needs.ts'
import { ownCode } from '../platform/errors.ts'
import { UserIdTypeError } from './errors.ts'
import { decodeRecords } from '../event/record/decode.ts'
import { SinkState } from './outage/sink-state.ts'
import { Epoch } from './positions/epoch.ts'
import { wasSeenBefore } from './positions/offsets.ts'
import type { Partition } from './positions/partition.ts'
import type { Placed } from './positions/place.ts'
import { Positions, watermarksOf } from './positions/positions.ts'
import { PositionWatch } from './positions/position-watch.ts'
import type {
  EmptyRange,
  RecordBatch,
  RecordSource,
  SourceListener,
  AcceptedBatch,
  TopicInspector,
} from './record-source.ts'
import { statusOf } from './status.ts'
import { type PlacedBatch, toRequest } from './store/placed-batch.ts'
import { BatchStore, type StoredTransaction } from './store/store-batch.ts'
import { TransactionQueue } from './store/transaction-queue.ts'
import type { WriteRequest } from './store/write-batch.ts'

export interface WorkerDependencies {
  source: RecordSource
  inspector: TopicInspector
  database: Database
  topic: string
  counters: SinkCounters
  logger: Logger
}

export class Worker implements SourceListener {
  readonly #deps: WorkerDependencies
  readonly #stopping = new AbortController()
  readonly #state: SinkState
  readonly #positions: Positions
  readonly #watch: PositionWatch
  readonly #store: BatchStore
  readonly #queue = new TransactionQueue<PlacedBatch>(async (batches) => await this.#write(batches))
  /** Undefined while the sink is not a member of the group. */
  #assigned: readonly number[] | undefined
  #epoch = new Epoch()
  /** The reading of the positions, while it lasts. */
  #recovery: Promise<void> | undefined

  constructor(deps: WorkerDependencies) {
    this.#deps = deps
    this.#store = new BatchStore(deps.database)
    this.#positions = new Positions(deps)
    this.#watch = new PositionWatch(deps, this.#queue)
    this.#state = new SinkState({
      ...deps,
      stopSignal: this.#stopping.signal,
      hasStopped: () => this.#positions.stopped !== undefined,
    })
    deps.database.onIdleLoss(() => this.#startOver()) // detects an outage even without traffic
  }

  /**
   * Waits for PostgreSQL and Kafka. Creates the topic if it is missing, unless sink_offsets already has rows for it: then
   * someone deleted it, and its offsets cannot be right.
   */
  async prepare(): Promise<void> {
    await this.#state.untilItWorks(async () => {
      await this.#deps.database.open()
      await checkNeeds(this.#deps.database)
      if (await wasSeenBefore(this.#deps.database, this.#deps.topic)) return
      await this.#deps.inspector.createIfMissing()
    })
  }

  async onBatch(batch: RecordBatch): Promise<AcceptedBatch | undefined> {
    const partition = this.#positions.get(batch.partition)
    const isReading = this.#recovery === undefined && this.#assigned !== undefined && !this.#isStopping
    if (!isReading || partition === undefined || partition.stopped !== undefined) return undefined
    const epoch = this.#epoch
    try {
      const placed = await partition.place(batch, async () => await this.#lowWatermark(partition))
      if (epoch.isOver) return undefined
      if (placed.kind !== 'take') {
        this.#cannotTake(partition, placed)
        return undefined
      }
      const running = this.#queue.current
      const stored = this.#enqueue(partition, placed, batch)
      const to = partition.read
      // At most one batch is fetched while another is written: this bounds memory (I7). With nothing more to fetch, wait
      // for the write itself; otherwise a rebalance would not wait for it.
      await (partition.hasMore ? running : stored)
      return epoch.isOver ? undefined : { to, stored }
    } catch (error) {
      this.#fail(error)
      return undefined
    }
  }

  /** Moves the partition past the records and queues them for a transaction. Resolves to whether they were stored. */
  #enqueue(
    partition: Partition,
    { records, expired }: Extract<Placed, { kind: 'take' }>,
    { endOffset, isAppendTime }: RecordBatch,
  ): Promise<boolean> {
    if (expired > 0) {
      partition.addExpired(expired)
      this.#positions.logExpired(partition)
    }
    const taken = partition.take(records, endOffset)
    if (taken === undefined) {
      this.#proveIfCaughtUp()
      return Promise.resolve(true)
    }
    const { identity, userIdType } = this.#positions
    const { mismatched, ...decoded } = ownCode(() => decodeRecords(records, identity, userIdType))
    if (mismatched !== undefined) throw new UserIdTypeError(mismatched.partition, mismatched.offset)
    if (isAppendTime) this.#deps.counters.appendDelay.observe(decoded.rows)
    const stored = this.#queue.add({ ...taken, ...decoded, epoch: this.#epoch, partition })
    partition.follow(stored, taken)
    return stored
  }

  /** Writes all batches, in one transaction if possible. Stops if their epoch is over. */
  async #write(batches: readonly PlacedBatch[]): Promise<boolean> {
    let rest: WriteRequest | undefined = toRequest(batches, this.#positions.userIdType)
    while (rest !== undefined) {
      if (this.#isStopping || batches.some(({ epoch }) => epoch.isOver)) return false
      const outcome = await this.#store.storeNext(this.#positions.identity, rest)
      switch (outcome.kind) {
        case 'stored':
          this.#committed(batches, outcome.stored)
          rest = outcome.rest
          break
        case 'fence_lost':
          this.#deps.counters.fencesLost += 1
          this.#deps.logger.warn('another worker wrote these offsets; reading them again')
          this.#startOver()
          return false
        case 'failed':
          this.#deps.database.destroy() // as in #readPositions()
          this.#fail(outcome.error)
          return false
      }
    }
    return true
  }

  #committed(batches: readonly PlacedBatch[], { slices, result, durationMs }: StoredTransaction): void {
    const { counters, logger } = this.#deps
    for (const { partition: number, from, to } of slices) {
      for (const batch of batches.filter(({ partition }) => partition.number === number)) {
        batch.partition.committed(to)
        // Expired records are counted together with the first records after the gap.
        if (batch.from >= from && batch.from < to) counters.expired += batch.expired
      }
    }
    countTransaction(counters, result, durationMs)
    if (result.dead > 0) logger.warn({ count: result.dead }, 'records went to dead_letters')
    // A commit of an earlier epoch does not prove that the outage is over: Kafka may have failed since.
    if (batches.every(({ epoch }) => !epoch.isOver)) this.#state.on('proved')
  }

  #cannotTake(partition: Partition, placed: Exclude<Placed, { kind: 'take' }>): void {
    switch (placed.kind) {
      case 'start_over':
        this.#startOver()
        break
      case 'fetch_again':
        partition.confirmGap()
        this.#deps.source.seek(partition.number, partition.read)
        break
      case 'stop':
        partition.stop(placed.reason)
        this.#deps.logger.error({ partition: partition.number, reason: placed.reason }, 'partition stopped')
        this.#state.on('partition_stopped')
        this.#fetchStarted()
        this.#watchPositions()
    }
  }

  onEmptyRange(range: EmptyRange): void {
    const partition = this.#positions.get(range.partition)
    if (partition === undefined || this.#recovery !== undefined || this.#assigned === undefined) return
    if (partition.skip(range)) this.#proveIfCaughtUp()
  }

  onWatermarks(partition: number, watermarks: Omit<Watermarks, 'low'>): void {
    this.#positions.get(partition)?.updateEnds(watermarks)
  }

  onAssigned(partitions: readonly number[]): void {
    this.#assigned = partitions
    this.#deps.logger.info({ partitions }, 'partitions assigned')
    this.#startOver()
  }

  onMembershipLost(reason: Error): void {
    this.#assigned = undefined
    this.#endEpoch()
    this.#state.onFailure(reason)
  }

  onJoinRefused(reason: Error): void {
    this.#positions.clear()
    this.onMembershipLost(reason)
  }

  onFetchFailed(): void {
    this.#startOver()
  }

  /** The state that /health reports. */
  status() {
    return statusOf(this.#state, this.#positions)
  }

  /** I8: accepts no more batches, waits up to `limitMs` for the running transaction, then closes the connection. */
  async stop(limitMs: number): Promise<void> {
    this.#stopping.abort()
    this.#watch.stop()
    this.#deps.source.fetchOnly([])
    await Promise.race([this.#queue.idle(), sleep(limitMs)])
    this.#deps.database.destroy() // aborts a write that PostgreSQL does not answer; the server rolls it back
    await this.#queue.idle()
  }

  get #isStopping(): boolean {
    return this.#stopping.signal.aborted
  }

  async #lowWatermark(partition: Partition): Promise<bigint> {
    return watermarksOf(await this.#deps.inspector.describe(), partition.number).low
  }

  /** PostgreSQL or Kafka failed: stop fetching until they are back. */
  #fail(error: unknown): void {
    this.#state.onFailure(error)
    this.#startOver()
  }

  /** Invalidates all positions, stops fetching, and reads the positions from PostgreSQL again. */
  #startOver(): void {
    this.#endEpoch()
    this.#deps.source.fetchOnly([])
    if (this.#isStopping || this.#assigned === undefined) return
    this.#state.on('started_over')
    this.#recovery ??= this.#recover()
  }

  #endEpoch(): void {
    this.#epoch.end()
    this.#epoch = new Epoch()
    this.#watch.stop()
  }

  /** Never rejects. */
  async #recover(): Promise<void> {
    let epoch: Epoch
    do {
      epoch = this.#epoch
      await this.#state.untilItWorks(async () => await this.#readPositions())
    } while (epoch.isOver && !this.#isStopping)
    this.#recovery = undefined
    if (this.#isStopping || this.#assigned === undefined) return

    this.#state.on('positions_read')
    this.#watchPositions()
    for (const { number, fetchFrom } of this.#positions.started) this.#deps.source.seek(number, fetchFrom)
    this.#fetchStarted()
    this.#proveIfCaughtUp()
  }

  async #readPositions(): Promise<void> {
    try {
      await this.#queue.idle() // on this connection, a running transaction would see its own uncommitted offsets
      await this.#positions.read(() => this.#assigned ?? [])
    } catch (error) {
      // A new connection may reach another server (failover), or get changed settings of the role.
      this.#deps.database.destroy()
      throw error
    }
  }

  #watchPositions(): void {
    this.#watch.watch(this.#positions.identity, this.#positions.all, () => this.#startOver())
  }

  #fetchStarted(): void {
    this.#deps.source.fetchOnly(this.#positions.started.map(({ number }) => number))
  }

  /** With nothing left to write, no commit will prove that the outage is over. */
  #proveIfCaughtUp(): void {
    if (this.#positions.started.every(({ isCaughtUp }) => isCaughtUp)) this.#state.on('proved')
  }
}

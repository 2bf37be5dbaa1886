/**
 * START HERE. The path of one batch: fetched (kafka-record-source.ts) -> placed against the partition's position
 * (partition.ts) -> decoded (decode.ts) -> stored with its offsets in one transaction (store-batch.ts, write-batch.ts)
 * -> acknowledged to the source. Every failure is handled in the same way: stop fetching, wait, read the offsets from
 * PostgreSQL again, seek to them, resume.
 *
 * The worker owns the positions of its partitions; nothing else changes them.
 */
import type { Logger } from '../platform/log.ts'
import { sleep } from '../platform/sleep.ts'
import type { Watermarks } from '../kafka/topic-ends.ts'
import { countTransaction, type SinkCounters } from './metrics.ts'
import type { Database } from '../postgres/database.ts'
import { decodeRecords } from '../event/record/decode.ts'
import { wasSeenBefore } from './positions/offsets.ts'
import { OutageGuard } from './outage/outage-guard.ts'
import { type PlacedBatch, toRequest } from './store/placed-batch.ts'
import { type PartitionState, place } from './positions/partition.ts'
import { PositionWatch } from './positions/position-watch.ts'
import {
  readSurePositions,
  updateAllEnds,
  updateEnds,
  logChanges,
  logExpired,
  watermarksOf,
} from './positions/positions.ts'
import type {
  EmptyRange,
  RecordBatch,
  RecordSource,
  SourceListener,
  AcceptedBatch,
  TopicInspector,
} from './record-source.ts'
import type { KafkaRecord, TopicIdentity } from '../event/record/decoded.ts'
import { statusOf } from './status.ts'
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
  readonly #store: BatchStore
  readonly #stopSignal = new AbortController()
  readonly #outage: OutageGuard
  #identity: TopicIdentity
  /** Undefined until the group has assigned partitions: the worker is still starting. */
  #assigned: readonly number[] | undefined
  #partitions = new Map<number, PartitionState>()
  /** Incremented whenever all positions become invalid; work that began under an earlier generation is abandoned. */
  #generation = 0
  #recovery: Promise<void> | undefined
  readonly #queue = new TransactionQueue<PlacedBatch>(async (batches) => await this.#write(batches))
  readonly #watch: PositionWatch

  constructor(deps: WorkerDependencies) {
    this.#deps = deps
    this.#store = new BatchStore(deps.database)
    this.#watch = new PositionWatch(deps, this.#queue)
    this.#outage = new OutageGuard(deps.logger, deps.counters, this.#stopSignal.signal)
    this.#identity = { clusterId: '', topic: deps.topic }
    deps.database.onIdleLoss(() => this.#startOver()) // detects an outage even without traffic
  }

  /**
   * Waits for PostgreSQL and Kafka. Creates the topic if it is missing, unless sink_offsets already has rows for it: then
   * someone deleted it, and its offsets cannot be right.
   */
  async prepare(): Promise<void> {
    await this.#outage.untilItWorks(async () => {
      await this.#deps.database.open()
      if (await wasSeenBefore(this.#deps.database, this.#deps.topic)) return
      const created = await this.#deps.inspector.createIfMissing()
      if (created) this.#deps.logger.info({ topic: this.#deps.topic }, 'topic created')
    })
  }

  onAssigned(partitions: readonly number[]): void {
    this.#assigned = partitions
    this.#deps.logger.info({ partitions }, 'partitions assigned')
    this.#startOver()
  }

  onMembershipLost(reason: Error): void {
    this.#assigned = undefined
    this.#generation += 1
    this.#watch.stop()
    this.#outage.open(reason)
  }

  onJoinRefused(reason: Error): void {
    this.#partitions.clear()
    this.onMembershipLost(reason)
  }

  onFetchFailed(): void {
    this.#startOver()
  }

  async onBatch(batch: RecordBatch): Promise<AcceptedBatch | undefined> {
    const state = this.#partitions.get(batch.partition)
    const isReading = this.#recovery === undefined && this.#assigned !== undefined && !this.#isStopping
    if (!isReading || state === undefined || state.stopped !== undefined) return undefined
    const generation = this.#generation
    try {
      const records = await this.#place(state, batch)
      if (records === undefined || generation !== this.#generation) return undefined
      const to = batch.endOffset > state.read ? batch.endOffset : state.read
      const running = this.#queue.current
      const stored = this.#enqueue(state, records, to)
      // At most one batch is fetched while another is written: this bounds memory (I7). With nothing more to fetch, wait
      // for the write itself; otherwise a rebalance would not wait for it.
      await (to < state.lastStable ? running : stored)
      return generation === this.#generation ? { to, stored } : undefined
    } catch (error) {
      this.#fail(error)
      return undefined
    }
  }

  onEmptyRange({ partition, from, to }: EmptyRange): void {
    const state = this.#partitions.get(partition)
    if (state === undefined || state.check !== null || this.#recovery !== undefined) return
    if (from <= state.read && to > state.read) state.read = to
    this.#closeOutageIfCaughtUp()
  }

  onWatermarks(partition: number, watermarks: Omit<Watermarks, 'low'>): void {
    const state = this.#partitions.get(partition)
    if (state !== undefined) updateEnds(state, watermarks)
  }

  /** The state that /health reports. */
  status() {
    return statusOf(this.#outage.breaker, [...this.#partitions.values()], {
      isStarting: this.#assigned === undefined || this.#recovery !== undefined,
    })
  }

  /** I8: accepts no more batches, waits up to `limitMs` for the running transaction, then closes the connection. */
  async stop(limitMs: number): Promise<void> {
    this.#stopSignal.abort()
    this.#watch.stop()
    this.#deps.source.fetchOnly([])
    await Promise.race([this.#queue.idle(), sleep(limitMs)])
    this.#deps.database.destroy() // aborts a write that PostgreSQL does not answer; the server rolls it back
    await this.#queue.idle()
  }

  get #isStopping(): boolean {
    return this.#stopSignal.signal.aborted
  }

  /** The records of the batch to store, or undefined if the batch cannot be placed. */
  async #place(state: PartitionState, batch: RecordBatch): Promise<readonly KafkaRecord[] | undefined> {
    const generation = this.#generation
    const placed = await place(state, batch, async () => {
      return watermarksOf(await this.#deps.inspector.describe(), state.partition).low
    })
    if (generation !== this.#generation) return undefined
    if (placed.kind === 'start_over') this.#startOver()
    if (placed.kind === 'stop') this.#stopPartition(state, placed.reason)
    if (placed.kind === 'start_over' || placed.kind === 'stop') return undefined
    state.check = null
    if (placed.kind === 'fetch_again') {
      state.gapConfirmed = true
      this.#deps.source.seek(state.partition, state.read)
      return undefined
    }
    if (placed.expired > 0) {
      state.expired += placed.expired
      logExpired(this.#deps.logger, state)
    }
    return placed.records
  }

  #stopPartition(state: PartitionState, reason: string): void {
    state.stopped = reason
    this.#deps.logger.error({ partition: state.partition, reason: state.stopped }, 'partition stopped')
    this.#fetchStarted()
    this.#watchPositions()
  }

  /** Queues the records for a transaction and moves the read position past them. Resolves to whether they were stored. */
  #enqueue(state: PartitionState, records: readonly KafkaRecord[], to: bigint): Promise<boolean> {
    const last = records.at(-1)
    state.read = to
    if (last === undefined) {
      this.#closeOutageIfCaughtUp()
      return Promise.resolve(true)
    }
    const { queued: from, expired } = state
    const decoded = decodeRecords(records, this.#identity)
    const batch = { generation: this.#generation, state, from, to, last, expired, ...decoded }
    Object.assign(state, { queued: to, expired: 0, gapConfirmed: false })
    const writing = this.#queue.add(batch)
    state.writing = writing
    void writing.then((isStored) => {
      if (!isStored) state.expired += expired // already logged, but not yet counted
      if (state.writing === writing) state.writing = undefined
    })
    return writing
  }

  /** Writes all batches, in one transaction if possible. Stops if their positions have become invalid meanwhile. */
  async #write(batches: readonly PlacedBatch[]): Promise<boolean> {
    let rest: WriteRequest | undefined = toRequest(batches)
    while (rest !== undefined) {
      if (this.#isStopping || batches.some(({ generation }) => generation !== this.#generation)) return false
      const outcome = await this.#store.storeNext(this.#identity, rest)
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
          this.#deps.database.destroy() // as in #recover()
          this.#fail(outcome.error)
          return false
      }
    }
    return true
  }

  #committed(batches: readonly PlacedBatch[], { slices, result, durationMs }: StoredTransaction): void {
    const { counters, logger } = this.#deps
    for (const { partition, from, to } of slices) {
      for (const batch of batches.filter(({ state }) => state.partition === partition)) {
        batch.state.next = to
        // Expired records are counted together with the first records after the gap.
        if (batch.from >= from && batch.from < to) counters.expired += batch.expired
      }
    }
    countTransaction(counters, result, durationMs)
    if (result.dead > 0) logger.warn({ count: result.dead }, 'records went to dead_letters')
    // A commit of an earlier generation does not prove that the outage is over: Kafka may have failed since.
    if (batches.every(({ generation }) => generation === this.#generation)) this.#outage.close()
  }

  /** PostgreSQL or Kafka failed: stop fetching until they are back. */
  #fail(error: unknown): void {
    this.#outage.open(error)
    this.#startOver()
  }

  /** Invalidates all positions, stops fetching, and reads the positions from PostgreSQL again. */
  #startOver(): void {
    this.#generation += 1
    this.#watch.stop()
    this.#deps.source.fetchOnly([])
    if (this.#isStopping || this.#assigned === undefined) return
    this.#recovery ??= this.#recover()
  }

  /** Never rejects. */
  async #recover(): Promise<void> {
    let generation: number
    do {
      generation = this.#generation
      await this.#outage.untilItWorks(async () => {
        await this.#readPositions().catch((error: unknown) => {
          // A new connection may reach another server (failover), or get changed settings of the role.
          this.#deps.database.destroy()
          throw error
        })
      })
    } while (generation !== this.#generation && !this.#isStopping)
    this.#recovery = undefined
    if (this.#isStopping || this.#assigned === undefined) return

    this.#outage.probe()
    this.#watchPositions()
    for (const { partition, check, read } of this.#started)
      this.#deps.source.seek(partition, check?.offset ?? read)
    this.#fetchStarted()
    this.#closeOutageIfCaughtUp()
  }

  #watchPositions(): void {
    this.#watch.watch(this.#identity, [...this.#partitions.values()], () => this.#startOver())
  }

  get #started(): PartitionState[] {
    return [...this.#partitions.values()].filter((state) => state.stopped === undefined)
  }

  /** With nothing left to write, no commit will end the outage, so it ends here. */
  #closeOutageIfCaughtUp(): void {
    if (this.#started.every((state) => state.lastStable <= state.read && state.writing === undefined))
      this.#outage.close()
  }

  #fetchStarted(): void {
    this.#deps.source.fetchOnly(this.#started.map((state) => state.partition))
  }

  async #readPositions(): Promise<void> {
    const { database, inspector, topic, logger } = this.#deps
    await this.#queue.idle() // on this connection, a running transaction would see its own uncommitted offsets
    const description = await inspector.describe()
    updateAllEnds(this.#partitions.values(), description) // so that the lag is current even during a database outage
    await database.open()
    this.#identity = { clusterId: description.clusterId, topic }
    const assigned = this.#assigned ?? []
    const positions = await readSurePositions(database, inspector, description, this.#identity, assigned)
    logChanges(logger, this.#partitions, positions)
    this.#partitions = positions
  }
}

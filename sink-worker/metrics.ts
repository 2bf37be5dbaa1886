import { collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import { scrapedCounter, scrapedGauge } from '../platform/scraped-metrics.ts'
import { AppendDelay, type DelayRange } from './append-delay.ts'
import type { GroupStatus } from '../kafka/consumer/group-watch.ts'
import type { WriteResult } from './store/write-batch.ts'

/** Totals since the sink started. The worker increments them; /health and /metrics read them. */
export interface SinkCounters {
  stored: number
  duplicates: number
  dead: number
  /** Records that expired in Kafka before they were read (I9). */
  expired: number
  pauses: number
  fencesLost: number
  /** Milliseconds since 1970 of the last commit; undefined before the first. */
  lastCommitMs: number | undefined
  observeBatch: (records: number, durationMs: number) => void
  appendDelay: AppendDelay
}

/** Counts one committed transaction. */
export function countTransaction(counters: SinkCounters, result: WriteResult, durationMs: number): void {
  counters.stored += result.stored
  counters.duplicates += result.duplicates
  counters.dead += result.dead
  counters.lastCommitMs = Date.now()
  counters.observeBatch(result.stored + result.duplicates + result.dead, durationMs)
}

interface Status {
  state: string
  partitions: { partition: number; lag: number; held_back: number; next_offset: number }[]
  group: Pick<GroupStatus, 'unread_partitions' | 'other_topics'>
}

/** Creates the sink's metrics. Their values are read on each scrape, so they cost the write path nothing. */
export function createSinkMetrics(status: () => Status): { registry: Registry; counters: SinkCounters } {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry })

  const batchSeconds = new Histogram({
    name: 'firehose_sink_batch_seconds',
    help: 'Duration of one transaction, from fence to commit',
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers,
  })
  const batchRecords = new Histogram({
    name: 'firehose_sink_batch_records',
    help: 'Number of records in one transaction',
    buckets: [1, 10, 100, 1_000, 10_000, 100_000],
    registers,
  })
  const counters: SinkCounters = {
    stored: 0,
    duplicates: 0,
    dead: 0,
    expired: 0,
    pauses: 0,
    fencesLost: 0,
    lastCommitMs: undefined,
    observeBatch: (records, durationMs) => {
      batchSeconds.observe(durationMs / 1_000)
      batchRecords.observe(records)
    },
    appendDelay: new AppendDelay(),
  }

  const totals: [name: string, help: string, read: () => number][] = [
    ['firehose_sink_stored_total', 'Events stored', () => counters.stored],
    ['firehose_sink_duplicates_total', 'Events that were already stored', () => counters.duplicates],
    ['firehose_sink_dead_letters_total', 'Records written to dead_letters', () => counters.dead],
    [
      'firehose_sink_expired_total',
      'Records that expired in Kafka before they were read',
      () => counters.expired,
    ],
    ['firehose_sink_pauses_total', 'Number of times that consumption paused', () => counters.pauses],
    [
      'firehose_sink_fences_lost_total',
      'Number of transactions given up because another worker had written the same offsets',
      () => counters.fencesLost,
    ],
  ]
  for (const [name, help, read] of totals) scrapedCounter(registry, name, help, read)

  const running: Gauge = new Gauge({
    name: 'firehose_sink_running',
    help: '1 while records are consumed, 0 while paused or stopped',
    registers,
    collect: () => running.set(status().state === 'running' ? 1 : 0),
  })
  delayGauge(
    'firehose_sink_append_delay_min_seconds',
    "Kafka's time of a record minus the API's received_at: the least of the latest one to two minutes",
    ({ min }) => min,
  )
  delayGauge('firehose_sink_append_delay_max_seconds', 'The same: the greatest', ({ max }) => max)
  groupGauge(
    'firehose_sink_unread_partitions',
    'Number of partitions of the topic that no member of the consumer group reads',
    (group) => group.unread_partitions,
  )
  groupGauge(
    'firehose_sink_other_topics',
    'Number of other topics that members of the consumer group read',
    (group) => group.other_topics,
  )
  partitionGauge('firehose_sink_lag', 'Number of records in Kafka that are not stored yet', (p) => p.lag)
  partitionGauge(
    'firehose_sink_held_back',
    "The part of the lag that another producer's open transaction keeps from being read",
    (p) => p.held_back,
  )
  partitionGauge('firehose_sink_next_offset', 'The offset after the last stored record', (p) => p.next_offset)
  return { registry, counters }

  /** Without a value until the group has been described. */
  function groupGauge(name: string, help: string, read: (group: Status['group']) => unknown[] | null): void {
    scrapedGauge(registry, name, help, () => read(status().group)?.length)
  }

  /** Without a value unless the topic has the times of Kafka, and records arrived lately. */
  function delayGauge(name: string, help: string, read: (delays: DelayRange) => number): void {
    scrapedGauge(registry, name, help, () => {
      const delays = counters.appendDelay.read()
      return delays && read(delays)
    })
  }

  function partitionGauge(
    name: string,
    help: string,
    read: (p: Status['partitions'][number]) => number,
  ): void {
    const gauge: Gauge<'partition'> = new Gauge({
      name,
      help,
      labelNames: ['partition'],
      registers,
      collect: () => {
        gauge.reset()
        for (const partition of status().partitions)
          gauge.set({ partition: partition.partition }, read(partition))
      },
    })
  }
}

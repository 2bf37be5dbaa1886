import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { GroupStatus } from '../kafka/consumer/group-watch.ts'
import type { WriteResult } from './store/write-batch.ts'

/** What the sink has done since it started. The worker adds, /health and /metrics read. */
export interface SinkCounters {
  stored: number
  duplicates: number
  dead: number
  /** Records that Kafka dropped before they were read (I9). */
  expired: number
  pauses: number
  fencesLost: number
  /** Milliseconds since 1970 of the last commit; undefined before the first. */
  lastCommitMs: number | undefined
  observeBatch: (records: number, durationMs: number) => void
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

/** Every metric of the sink. Values are read when they are asked for, so that the write path pays nothing. */
export function createSinkMetrics(status: () => Status): { registry: Registry; counters: SinkCounters } {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry })

  const batchSeconds = new Histogram({
    name: 'firehose_sink_batch_seconds',
    help: 'Duration of a transaction, from fence to commit',
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers,
  })
  const batchRecords = new Histogram({
    name: 'firehose_sink_batch_records',
    help: 'Records of a transaction',
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
  }

  const totals: [name: string, help: string, read: () => number][] = [
    ['firehose_sink_stored_total', 'Events stored', () => counters.stored],
    ['firehose_sink_duplicates_total', 'Identical events that were stored before', () => counters.duplicates],
    ['firehose_sink_dead_letters_total', 'Records that went to dead_letters', () => counters.dead],
    [
      'firehose_sink_expired_total',
      'Records that expired in Kafka before they were read',
      () => counters.expired,
    ],
    ['firehose_sink_pauses_total', 'Times that consumption paused', () => counters.pauses],
    [
      'firehose_sink_fences_lost_total',
      'Times that another worker had written the range',
      () => counters.fencesLost,
    ],
  ]
  for (const [name, help, read] of totals) {
    const counter: Counter = new Counter({
      name,
      help,
      registers,
      collect: () => {
        counter.reset()
        counter.inc(read())
      },
    })
  }

  const running: Gauge = new Gauge({
    name: 'firehose_sink_running',
    help: '1 while records are consumed, 0 while paused or stopped',
    registers,
    collect: () => running.set(status().state === 'running' ? 1 : 0),
  })
  ofGroup(
    'firehose_sink_unread_partitions',
    'Partitions of the topic that no member of the consumer group reads',
    (group) => group.unread_partitions,
  )
  ofGroup(
    'firehose_sink_other_topics',
    'Other topics that members of the consumer group read',
    (group) => group.other_topics,
  )
  perPartition('firehose_sink_lag', 'Records in Kafka that are not stored yet', (p) => p.lag)
  perPartition(
    'firehose_sink_held_back',
    "Of the lag, records that another producer's open transaction keeps from being read",
    (p) => p.held_back,
  )
  perPartition('firehose_sink_next_offset', 'The offset after the last one stored', (p) => p.next_offset)
  return { registry, counters }

  /** No value while the group was not seen. */
  function ofGroup(name: string, help: string, read: (group: Status['group']) => unknown[] | null): void {
    const gauge: Gauge<'none'> = new Gauge({
      name,
      help,
      labelNames: ['none'], // else prom-client shows 0 before there is a value
      registers,
      collect: () => {
        gauge.reset()
        const found = read(status().group)
        if (found !== null) gauge.set(found.length)
      },
    })
  }

  function perPartition(name: string, help: string, read: (p: Status['partitions'][number]) => number): void {
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

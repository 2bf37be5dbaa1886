import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client'
import { scrapedCounter, scrapedGauge } from '../platform/scraped-metrics.ts'
import type { Batcher } from './delivery/batcher.ts'
import type { Entrance } from './front-door/entrance.ts'
import { type ApiStats, LATENCY_BUCKETS_S } from './stats.ts'

export interface MetricSources {
  stats: ApiStats
  batcher: Batcher
  bufferLimitBytes: number
  availablePartitions: () => number
  ready: () => boolean
  entrance: Entrance
}

/** Every metric of the API. Values are read on each scrape, so requests do not pay for them. */
export function createMetrics(sources: MetricSources): Registry {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const { stats, batcher } = sources

  const counter = (name: string, help: string, read: () => number): void =>
    scrapedCounter(registry, name, help, read)
  const gauge = (name: string, help: string, read: () => number): void =>
    scrapedGauge(registry, name, help, read)

  counter('firehose_api_events_received_total', 'Events received: accepted, rejected and in flight', () => {
    return stats.received
  })
  counter('firehose_api_events_accepted_total', 'Events answered 202', () => stats.accepted)
  countByLabel(
    registry,
    'firehose_api_events_rejected_total',
    'Events not answered 202, by reason; a body that cannot be read as events counts as one',
    'reason',
    stats.rejected,
  )
  gauge('firehose_api_events_in_flight', 'Events whose request has not been answered', () => {
    return batcher.waitingEvents
  })
  gauge('firehose_api_buffer_bytes', 'Memory held for events that Kafka has not acknowledged', () => {
    return batcher.queuedBytes
  })
  gauge(
    'firehose_api_buffer_limit_bytes',
    'Limit of firehose_api_buffer_bytes; above it the API answers 503',
    () => {
      return sources.bufferLimitBytes
    },
  )
  gauge('firehose_api_buffer_events', 'Events that Kafka has not acknowledged', () => batcher.queuedEvents)
  counter('firehose_api_kafka_sends_total', 'Batches sent to Kafka', () => batcher.counts.batchesSent)
  counter('firehose_api_kafka_send_failures_total', 'Failed sends; most are retried', () => {
    return batcher.counts.sendFailures
  })
  counter('firehose_api_kafka_events_total', 'Events acknowledged by Kafka', () => {
    return batcher.counts.eventsAcknowledged
  })
  gauge('firehose_api_kafka_available_partitions', 'Partitions that can accept events', () => {
    return sources.availablePartitions()
  })
  flag(registry, 'firehose_api_ready', '1 when /readyz answers 200', sources.ready)
  counter('firehose_api_connections_cut_total', 'Connections closed for too many unanswered requests', () => {
    return stats.connectionsCut
  })
  counter(
    'firehose_api_connections_refused_total',
    'Connections closed at once, above MAX_CONNECTIONS',
    () => {
      return stats.connectionsRefused
    },
  )
  registerLatency(registry, stats)
  registerAccess(registry, stats, sources.entrance)
  return registry
}

/** What concerns keys and tokens, if any are taken. */
function registerAccess(registry: Registry, { acceptedByKey }: ApiStats, { keys, tokens }: Entrance): void {
  if (keys !== undefined) {
    countByLabel(
      registry,
      'firehose_api_key_events_accepted_total',
      'Events answered 202, by the label of their key',
      'key',
      acceptedByKey,
    )
    flag(registry, 'firehose_api_key_file_ok', '1 when the key file could be read last time', () => {
      return keys.status.problem === undefined
    })
  }
  if (tokens !== undefined) {
    flag(
      registry,
      'firehose_api_token_keys_ok',
      '1 when the keys of tokens could be fetched last time',
      () => {
        return tokens.status.problem === undefined
      },
    )
    scrapedCounter(
      registry,
      'firehose_api_token_keys_fetches_total',
      'Attempts to fetch the keys of tokens',
      () => {
        return tokens.status.fetches
      },
    )
  }
}

function flag(registry: Registry, name: string, help: string, read: () => boolean): void {
  scrapedGauge(registry, name, help, () => (read() ? 1 : 0))
}

/** A counter with the counts that a map has at each scrape, by the values of one label. */
function countByLabel(
  registry: Registry,
  name: string,
  help: string,
  label: string,
  counts: ReadonlyMap<string, number>,
): void {
  const metric: Counter = new Counter({
    name,
    help,
    labelNames: [label],
    registers: [registry],
    collect: () => {
      metric.reset()
      for (const [value, events] of counts) metric.inc({ [label]: value }, events)
    },
  })
}

/** A histogram that reads the existing counts; prom-client's own must observe each value. */
function registerLatency(registry: Registry, stats: ApiStats): void {
  const name = 'firehose_api_accept_latency_seconds'
  const help = 'Time from the end of the request headers to the response, for requests answered 202'
  const metric = {
    name,
    help,
    type: 'histogram',
    aggregator: 'sum',
    reset: () => {},
    get: async () => {
      let cumulative = 0
      const values = [...LATENCY_BUCKETS_S, '+Inf'].map((le, bucket) => {
        cumulative += stats.latencyCounts[bucket] ?? 0
        return { metricName: `${name}_bucket`, labels: { le }, value: cumulative }
      })
      return {
        name,
        help,
        type: 'histogram',
        aggregator: 'sum',
        values: [
          ...values,
          { metricName: `${name}_sum`, labels: {}, value: stats.latencySumSeconds },
          { metricName: `${name}_count`, labels: {}, value: cumulative },
        ],
      }
    },
  }
  registry.registerMetric(metric as unknown as Gauge)
}

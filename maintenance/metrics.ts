import { collectDefaultMetrics, Counter, Registry } from 'prom-client'
import { scrapedCounter, scrapedGauge } from '../platform/scraped-metrics.ts'
import { type History, type LastRun, OUTCOMES } from './history.ts'
import type { Action } from './maintenance.ts'

const TOTALS: readonly [name: string, help: string, kind: Action['kind']][] = [
  ['firehose_maintain_partitions_made_total', 'Partitions of events that were made', 'made'],
  ['firehose_maintain_partitions_dropped_total', 'Partitions of events that retention dropped', 'dropped'],
  [
    'firehose_maintain_partitions_closed_total',
    'Partitions of events that were vacuumed when over',
    'closed',
  ],
  ['firehose_maintain_indexes_built_total', 'User indexes of partitions that were built', 'indexed'],
  ['firehose_maintain_rows_moved_total', 'Rows moved from one partition to another', 'moved'],
  [
    'firehose_maintain_rows_deleted_total',
    'Rows that retention deleted, not counting those of dropped partitions',
    'deleted',
  ],
  [
    'firehose_maintain_dead_letters_deleted_total',
    'Replayed or discarded dead letters that retention deleted',
    'letters',
  ],
]

/** Creates the metrics of the service. Their values are read from its history on each scrape. */
export function createMaintainMetrics(history: History): Registry {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })

  const runs: Counter<'outcome'> = new Counter({
    name: 'firehose_maintain_runs_total',
    help: 'Runs, by outcome: done; problem: something was left for the next run; busy: another process was at it; failed: ended early by an error',
    labelNames: ['outcome'],
    registers: [registry],
    collect: () => {
      runs.reset()
      for (const outcome of OUTCOMES) runs.inc({ outcome }, history.runs(outcome))
    },
  })
  for (const [name, help, kind] of TOTALS) scrapedCounter(registry, name, help, () => history.count(kind))

  scrapedGauge(
    registry,
    'firehose_maintain_last_success_timestamp_seconds',
    'Time of the end of the last run with the outcome done',
    () => history.lastSuccessMs && history.lastSuccessMs / 1_000,
  )
  lastRunGauge(
    'firehose_maintain_last_run_duration_seconds',
    'Duration of the last run',
    ({ durationMs }) => durationMs / 1_000,
  )
  lastRunGauge(
    'firehose_maintain_problems',
    'Things that the last run could not do',
    ({ problems }) => problems.length,
  )
  treeGauge(
    'firehose_maintain_partitions',
    'Partitions of events with a range of time',
    ({ leaves }) => leaves,
  )
  treeGauge(
    'firehose_maintain_partitions_ahead',
    'Partitions of events, without a gap, after the current one',
    ({ ahead }) => ahead,
  )
  return registry

  /** Without a value if the table has no partitions. */
  function treeGauge(name: string, help: string, read: (last: LastRun) => number): void {
    lastRunGauge(name, help, (last) => (last.layout === 'tree' ? read(last) : undefined))
  }

  /** Without a value until a run has ended. */
  function lastRunGauge(name: string, help: string, read: (last: LastRun) => number | undefined): void {
    scrapedGauge(registry, name, help, () => history.last && read(history.last))
  }
}

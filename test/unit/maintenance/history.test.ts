import assert from 'node:assert/strict'
import { test } from 'node:test'
import { History } from '../../../maintenance/history.ts'
import type { Action } from '../../../maintenance/maintenance.ts'
import { createMaintainMetrics } from '../../../maintenance/metrics.ts'
import type { RunResult } from '../../../maintenance/run.ts'
import { pauseMs } from '../../../maintenance/service.ts'

const STARTED_MS = 1_800_000_000_000
const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS

function action(kind: Action['kind'], count = 1): Action {
  return { step: 'ahead', kind, count, text: `${count} ${kind}.` }
}

function result(change: Partial<RunResult> = {}): RunResult {
  return {
    outcome: 'done',
    actions: [],
    leaves: 16,
    ahead: 14,
    layout: 'tree',
    refusesSinks: false,
    ...change,
  }
}

/** A run that began a second after the start and took two. */
function afterRun(...given: Parameters<typeof result>): History {
  const history = new History(STARTED_MS)
  const run = result(...given)
  history.began(STARTED_MS + 1_000)
  for (const each of run.actions) history.did(each)
  history.ended(run, STARTED_MS + 3_000)
  history.waits(STARTED_MS + HOUR_MS)
  return history
}

async function metricsOf(history: History): Promise<Map<string, number>> {
  const text = await createMaintainMetrics(history).metrics()
  const lines = text.split('\n').filter((line) => line.startsWith('firehose_'))
  return new Map(lines.map((line) => [line.replace(/ \S+$/, ''), Number(line.split(' ').at(-1))]))
}

test('a run is in /health with its sentences, and in the metrics', async () => {
  const history = afterRun({ actions: [action('made', 2), action('moved', 300), action('dropped')] })
  assert.deepEqual(history.status(STARTED_MS + 60_000), {
    state: 'waiting',
    reason: null,
    running_since: null,
    next_run: '2027-01-15T09:00:00.000Z',
    last_run: {
      ended: '2027-01-15T08:00:03.000Z',
      seconds: 2,
      outcome: 'done',
      actions: ['2 made.', '300 moved.', '1 dropped.'],
      problems: [],
    },
    last_success: '2027-01-15T08:00:03.000Z',
    layout: 'tree',
    partitions: 16,
    partitions_ahead: 14,
    uptime: 60,
  })
  const metrics = await metricsOf(history)
  for (const [name, value] of [
    ['firehose_maintain_last_success_timestamp_seconds', STARTED_MS / 1_000 + 3],
    ['firehose_maintain_last_run_duration_seconds', 2],
    ['firehose_maintain_runs_total{outcome="done"}', 1],
    ['firehose_maintain_runs_total{outcome="failed"}', 0],
    ['firehose_maintain_partitions', 16],
    ['firehose_maintain_partitions_ahead', 14],
    ['firehose_maintain_partitions_made_total', 2],
    ['firehose_maintain_partitions_dropped_total', 1],
    ['firehose_maintain_rows_moved_total', 300],
    ['firehose_maintain_rows_deleted_total', 0],
    ['firehose_maintain_problems', 0],
  ] as const)
    assert.equal(metrics.get(name), value, name)
})

test('a run with a problem, or beside another process, is no success', async () => {
  for (const [change, outcome, problems] of [
    [{ actions: [action('made'), action('problem', 0)] }, 'problem', 1],
    [{ outcome: 'busy' }, 'busy', 0],
  ] as const) {
    const history = afterRun({ ...change, actions: [...('actions' in change ? change.actions : [])] })
    assert.deepEqual(history.ready(STARTED_MS), { ok: true })
    const metrics = await metricsOf(history)
    assert.equal(metrics.get(`firehose_maintain_runs_total{outcome="${outcome}"}`), 1)
    assert.equal(metrics.get('firehose_maintain_problems'), problems)
    assert.equal(metrics.has('firehose_maintain_last_success_timestamp_seconds'), false)
  }
})

test('what is not known has no value: before the first run, and of partitions that do not exist', async () => {
  const { last_run, last_success, partitions } = new History(STARTED_MS).status(STARTED_MS) as Record<
    string,
    unknown
  >
  assert.deepEqual([last_run, last_success, partitions], [null, null, null])
  const before = await metricsOf(new History(STARTED_MS))
  assert.equal(before.has('firehose_maintain_partitions_ahead'), false)
  assert.equal(before.has('firehose_maintain_problems'), false)
  const table = await metricsOf(afterRun({ layout: 'table', leaves: 0, ahead: 0 }))
  assert.equal(table.has('firehose_maintain_partitions_ahead'), false)
  assert.equal(table.get('firehose_maintain_problems'), 0)
})

test('not ready while runs fail, or while the first one may still be connecting; a long first run is ready', () => {
  const history = new History(STARTED_MS)
  history.began(STARTED_MS)
  assert.deepEqual(history.ready(STARTED_MS + 5_000), { ok: false, reason: 'the first run has just begun' })
  assert.deepEqual(history.ready(STARTED_MS + 11_000), { ok: true })
  assert.equal(history.failed('down'), true)
  assert.equal(history.failed('down'), false, 'it is logged once')
  assert.deepEqual(history.ready(STARTED_MS + HOUR_MS), { ok: false, reason: 'down' })
  history.ended(result(), STARTED_MS + HOUR_MS)
  assert.deepEqual(history.ready(STARTED_MS + HOUR_MS), { ok: true })
})

test('a failed run is tried again soon, then less often; a busy one after a minute; a problem at the next turn', () => {
  const history = new History(STARTED_MS)
  const waits = Array.from({ length: 10 }, () => {
    history.failed('down')
    return pauseMs(history, HOUR_MS)
  })
  assert.ok(waits[0]! >= 500 && waits[0]! <= 1_000, String(waits))
  assert.ok(waits[9]! >= MINUTE_MS / 2 && waits[9]! <= MINUTE_MS, String(waits))
  assert.equal(pauseMs(afterRun({ outcome: 'busy' }), HOUR_MS), MINUTE_MS)
  assert.equal(pauseMs(afterRun({ outcome: 'busy' }), 1_000), 1_000)
  assert.equal(pauseMs(afterRun({ refusesSinks: true }), HOUR_MS), 10_000)
  assert.equal(pauseMs(afterRun({ actions: [action('problem')] }), HOUR_MS), HOUR_MS)
})

test('/health stays small, however much a run did', () => {
  const history = afterRun({ actions: Array.from({ length: 800 }, () => action('made')) })
  const { last_run } = history.status(STARTED_MS) as { last_run: { actions: string[] } }
  assert.deepEqual([last_run.actions.length, last_run.actions.at(-1)], [101, '... and 700 more.'])
})

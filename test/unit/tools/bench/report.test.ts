import assert from 'node:assert/strict'
import { test } from 'node:test'
import { merged, type Results } from '../../../../tools/bench/report.ts'

const none: Results = {
  startedAt: '2026-01-01T00:00:00.000Z',
  commit: 'abc1234',
  machine: { cpu: 'some', cores: 2, kernel: '6', node: 'v24', load: '0' },
  measurements: [],
  latencies: [],
  drains: [],
  growth: {},
}
const measurement = (name: string, pairs: number) =>
  ({ measurement: name, pairs }) as Results['measurements'][number]
const latency = (rate: number, failed = 0) => ({ rate, failed }) as Results['latencies'][number]
const drain = { fetchMaxBytes: 1, rowsATransaction: 1, rowsPerSecond: 1, cpuUs: 1 }

test('results of consecutive runs on one commit are merged in one file', () => {
  const earlier = {
    ...none,
    measurements: [measurement('api', 1), measurement('sink', 1)],
    latencies: [latency(1_000), latency(10_000)],
    drains: [drain],
    growth: { idle: [], memory: [] },
  }
  const run = {
    ...none,
    startedAt: 'later',
    measurements: [measurement('sink', 2)],
    latencies: [latency(5_000), latency(10_000, 3)],
  }
  assert.deepEqual(merged(earlier, run), {
    ...none,
    startedAt: 'later',
    measurements: [measurement('api', 1), measurement('sink', 2)],
    latencies: [latency(1_000), latency(5_000), latency(10_000, 3)],
    drains: [drain],
    growth: { idle: [], memory: [] },
  })
  assert.deepEqual(merged(earlier, { ...none, growth: { table: [] } }).growth, {
    idle: [],
    memory: [],
    table: [],
  })
})

test('results of another commit are dropped', () => {
  const earlier = { ...none, commit: 'def5678', measurements: [measurement('api', 1)], drains: [drain] }
  assert.deepEqual(merged(earlier, { ...none, latencies: [latency(1_000)] }), {
    ...none,
    latencies: [latency(1_000)],
  })
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { notAcknowledged, REPORT_MARK } from '../../../../k6/lib/report.ts'
import { K6Output } from '../../../../tools/k6/k6-output.ts'

const ID = '01a20a52-fe17-75ce-8000-8c2c505fe24d'

function logged(message: string, rest = ' source=console'): string {
  return `time="2026-11-23T21:17:59Z" level=warning msg=${JSON.stringify(message)}${rest}`
}

function failure(n: number, status: number, why: string): string {
  return logged(notAcknowledged(n, 1, ID, status, why))
}

test('each request without a 202 is recorded; some are shown', () => {
  const output = new K6Output()
  const shown = Array.from({ length: 20 }, (_, n) => output.err(failure(n, 503, 'unknown'))).filter(Boolean)
  assert.equal(shown.length, 5)
  assert.equal(shown[0], `not-acknowledged n=0 count=1 id=${ID} status=503 unknown`)
  assert.deepEqual(
    output.notAcknowledged,
    Array.from({ length: 20 }, (_, n) => ({ n, count: 1 })),
  )
  output.err(failure(20, 401, 'Unauthorized'))
  output.err(failure(21, 0, 'Error: status=7'))
  assert.deepEqual([...output.statuses], ['503', '401', '0'])
})

test('the report is recorded and not shown', () => {
  const output = new K6Output()
  const report = { batch: 1, run: { start_ms: 1, random: 2 } }
  assert.equal(output.err(REPORT_MARK + JSON.stringify(report)), undefined)
  assert.deepEqual(output.report, report)
})

test("a script's own messages are shown without k6's prefix, k6's own unchanged", () => {
  const output = new K6Output()
  assert.equal(output.err(logged('18.6 s: "the sink" cannot store')), '18.6 s: "the sink" cannot store')
  assert.equal(
    output.err(logged('Insufficient VUs', ' executor=x')),
    logged('Insufficient VUs', ' executor=x'),
  )
  assert.equal(output.err('Unable to find image locally'), 'Unable to find image locally')
})

test('only progress and the table remain of stdout', () => {
  const output = new K6Output()
  const progress = 'running (04.9s), 0000/1000 VUs, 7290 complete and 20 interrupted iterations'
  const bar = 'events   [ 100% ] 1000/1000 VUs  5.0s/5.0s  1500.00 iters/s'
  const lines = [
    '  █ k6',
    '',
    progress,
    bar,
    '',
    'event: 1,500 requests/s',
    '',
    '  sent  7,290',
    '',
    progress,
    bar,
  ]
  assert.deepEqual(
    lines.map((line) => output.out(line)).filter((taken) => Object.keys(taken).length > 0),
    [{ progress }, ...['event: 1,500 requests/s', '', '  sent  7,290', ''].map((show) => ({ show }))],
  )
  assert.equal(output.interrupted, 20)
})

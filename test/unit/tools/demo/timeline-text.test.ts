import assert from 'node:assert/strict'
import { test } from 'node:test'
import { summarize } from '../../../../tools/demo/timeline.ts'
import { clock, headerLine, markLine, pointLine, summaryLines } from '../../../../tools/demo/timeline-text.ts'
import { outage } from '../../../support/outages.ts'

test('each second is a row below the column headings', () => {
  const [first, , , , , sixth] = outage().points
  assert.ok(first !== undefined && sixth !== undefined)
  assert.equal(
    [headerLine(), pointLine(first), pointLine(sixth)].join('\n'),
    `
  time requests/s   202s/s  failed   p99 ms        lag  stored/s        rows
  0:01      1,000    1,000       0      1.0          0     1,000       1,000
  0:06      1,000    1,000       0      6.0      1,000         0       5,000`.slice(1),
  )
})

test('unknown values are dashes', () => {
  const [first] = outage().points
  assert.ok(first !== undefined)
  const line = pointLine({
    ...first,
    lag: undefined,
    storedPerS: undefined,
    stored: undefined,
    p99Ms: undefined,
  })
  assert.equal(line, '  0:01      1,000    1,000       0        -          -         -           -')
})

test('times are rounded before they are split into minutes and seconds', () => {
  assert.deepEqual([0, 59.4, 59.6, 600].map(clock), ['0:00', '0:59', '1:00', '10:00'])
  assert.equal(markLine(65, 'PostgreSQL stopped'), '  1:05  -- PostgreSQL stopped')
})

test('a summary describes the outage and the failed requests', () => {
  assert.deepEqual(summaryLines(summarize(outage(), 2), { '503 unknown': 1200, timeout: 3 }), [
    'PostgreSQL was down for   5.0 s, with 1,000 202s per second meanwhile',
    'p99 of the 202s           5.0 ms before (from second 2 on), 10.0 ms while it was down, 20.0 ms after',
    'requests without a 202    503 unknown: 1,200, timeout: 3',
    'largest lag               6,000 events',
    'caught up                 3.0 s after PostgreSQL was back, at 2,667 rows per second',
  ])
})

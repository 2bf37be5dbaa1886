import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Chart, chartSvg } from '../../../../tools/bench/plot.ts'

const chart: Chart = {
  title: 'Rows & rates <of> a sink',
  about: 'one machine',
  x: { label: 'rows per transaction', isLog: true },
  y: { label: 'rows per second', isLog: false },
  lines: [
    {
      name: 'ours',
      colour: 'blue',
      isDashed: false,
      points: [
        [100, 20_000],
        [1_000, 60_000],
        [10_000, 90_000],
      ],
    },
    {
      name: 'baseline',
      colour: 'orange',
      isDashed: true,
      points: [
        [100, 0],
        [10_000, 100_000],
      ],
    },
  ],
}

test('a chart has round tick values, and equal ratios have equal lengths on a log axis', () => {
  const svg = chartSvg(chart)
  // The box is from 76 to 732 across and from 376 up to 104.
  assert.deepEqual(marks(svg, 'mid'), ['100', '200', '500', '1,000', '2,000', '5,000', '10,000'])
  assert.deepEqual(marks(svg, 'end'), ['0', '20,000', '40,000', '60,000', '80,000', '100,000'])
  assert.deepEqual(paths(svg), ['76 321.6L404 212.8L732 131.2', '76 376L732 104'])
  assert.equal(svg.match(/<circle class="blue"/g)?.length, 3)
})

test('the first and last ticks of a vertical log axis enclose all values', () => {
  const y = { label: 'milliseconds', isLog: true }
  const lines = [
    {
      name: 'p99',
      colour: 'blue',
      isDashed: false,
      points: [
        [1, 3],
        [2, 120],
      ],
    } as const,
  ]
  assert.deepEqual(marks(chartSvg({ ...chart, y, lines }), 'end'), ['2', '5', '10', '20', '50', '100', '200'])
})

test('a chart of a single value can be drawn', () => {
  const lines = [{ name: 'one', colour: 'blue', isDashed: false, points: [[100, 5]] } as const]
  assert.deepEqual(paths(chartSvg({ ...chart, lines })), ['76 104'])
})

test('a chart names its lines, and its text is valid XML', () => {
  const svg = chartSvg(chart)
  assert.match(svg, /<title id="title">Rows &amp; rates &lt;of&gt; a sink<\/title>/)
  assert.match(svg, /class="line blue" d="M76 80h28"\/><text [^>]*>ours<\/text>/)
  assert.match(svg, /class="line orange dashed" d="M226 80h28"\/><text [^>]*>baseline<\/text>/)
  for (const label of ['rows per transaction', 'rows per second']) assert.ok(svg.includes(`>${label}</text>`))
  assert.ok(!svg.includes('NaN'))
})

function marks(svg: string, anchor: 'mid' | 'end'): string[] {
  return [...svg.matchAll(new RegExp(`class="axis ${anchor}">([^<]*)<`, 'g'))].map(([, said = '']) => said)
}

function paths(svg: string): string[] {
  return [...svg.matchAll(/class="line [^"]*" d="M([^"]*)"/g)]
    .map(([, d = '']) => d)
    .filter((d) => !d.includes('h'))
}

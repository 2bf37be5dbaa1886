import assert from 'node:assert/strict'
import { test } from 'node:test'
import { summarize, type Timeline } from '../../../../tools/demo/timeline.ts'
import { timelineSvg } from '../../../../tools/demo/timeline-svg.ts'
import { fine, outage } from '../../../support/outages.ts'

const date = new Date('2026-02-03T04:05:06Z')

function draw(timeline: Timeline, more: object = {}, warmUpS = 0): string {
  const summary = summarize(timeline, warmUpS)
  return timelineSvg(timeline, {
    verdict: fine,
    summary,
    rate: 1000,
    stack: 'a <stack>',
    cores: 2,
    date,
    ...more,
  })
}

/** The contents of the text elements, in order. @throws if the SVG is not well-formed */
function textsOf(svg: string): string[] {
  const open: string[] = []
  const texts: string[] = []
  for (const [whole, tag, content] of svg.matchAll(/(<[^>]*>)|([^<]+)/g)) {
    if (content !== undefined) {
      assert.doesNotMatch(content, /[<>]|&(?!(amp|lt|gt|quot);)/, 'text is escaped')
      if (open.at(-1) === 'text') texts.push(content)
      continue
    }
    const name = /^<\/?(\w+)/.exec(tag ?? '')?.[1]
    assert.match(whole, /^<\/\w+>$|^<\w+( [\w:-]+="[^"<]*")*\/?>$/, 'attributes are quoted')
    if (whole.startsWith('</')) assert.equal(open.pop(), name, `what ${whole} closes`)
    else if (!whole.endsWith('/>')) open.push(name ?? '')
  }
  assert.deepEqual(open, [], 'every element is closed')
  return texts
}

/** The y coordinates of a line. */
function drawn(svg: string, name: string): string[] {
  const path = new RegExp(`class="line ${name}" d="M([^"]*)"`).exec(svg)?.[1] ?? ''
  return path.split('L').map((place) => place.split(' ')[1] ?? '')
}

test('the picture is well-formed and small, and shows verdict, date and machine', () => {
  const svg = draw(outage())
  const texts = textsOf(svg)
  assert.equal(texts[0], '20,000 acknowledged, 20,000 stored, 0 lost, 0 twice')
  assert.equal(
    texts[1],
    'PostgreSQL stopped for 5.0 s · 1,000 requests/s · a &lt;stack&gt;, 2 cores · 2026-02-03 04:05 UTC · npx firehose demo',
  )
  for (const text of [
    'PostgreSQL is down: 5.0 s',
    'caught up',
    'clients still get 1,000 per second',
    'p99 10.0 ms; before 5.0, after 20.0',
    '0 per second',
    'up to 6,000 events wait in Kafka',
    'drained in 3.0 s',
  ]) {
    assert.ok(texts.includes(text), text)
  }
  assert.ok(svg.length < 60_000)
  assert.doesNotMatch(svg, /<script|href|url\(|@import/)
})

test('each series is drawn: 202s continue, storing stops, the lag grows and drains', () => {
  const svg = draw(outage())
  assert.equal(new Set(drawn(svg, 'acked')).size, 1)
  const stored = drawn(svg, 'stored')
  assert.equal(stored.length, 40)
  assert.equal(new Set(stored.slice(10, 22)).size, 1, 'six seconds at 0')
  const lag = drawn(svg, 'lag').map(Number)
  assert.equal(lag.length, 21)
  assert.equal(lag.indexOf(Math.min(...lag)), 11, 'the peak is the last second before the drain')
  assert.equal(lag[5], lag.at(-1))
})

test('missing values are gaps', () => {
  const timeline = outage()
  const points = timeline.points.map((point) =>
    point.atS === 8 ? { ...point, storedPerS: undefined } : point,
  )
  const svg = draw({ ...timeline, points })
  textsOf(svg)
  assert.equal(svg.split('class="line stored"').length - 1, 2)
})

test('a drain many times faster than the load is cut off and labelled with its rate', () => {
  const timeline = outage()
  const points = timeline.points.map((point) => (point.atS === 12 ? { ...point, storedPerS: 23_456 } : point))
  const svg = draw({ ...timeline, points })
  assert.ok(textsOf(svg).includes('↑ 23,456'))
  assert.equal(svg.split('class="cut"').length - 1, 2)
  assert.doesNotMatch(draw(outage()), /class="cut"/)
})

test('the warm-up and the time after the load are not shown', () => {
  const timeline = outage()
  const svg = draw({ ...timeline, moments: { ...timeline.moments, loadEndedS: 18.5 } }, {}, 3)
  assert.equal(drawn(svg, 'acked').length, 30)
  assert.equal(drawn(svg, 'lag').length, 16)
  assert.equal(textsOf(svg).includes('0 s'), false)
})

test('a bad verdict is shown as such', () => {
  const svg = draw(outage(), { verdict: { ...fine, lost: 3, ok: false } })
  assert.equal(textsOf(svg)[0], 'NOT OK: 20,000 acknowledged, 20,000 stored, 3 lost, 0 twice')
})

test('timelines of any length can be drawn, even without an outage', () => {
  const { points } = outage()
  for (const some of [[], points.slice(0, 1), points]) textsOf(draw({ points: some, moments: {} }))
  textsOf(draw({ points, moments: { stoppedS: 5 } }))
})

import { type OutageVerdict, verdictLine } from './outage-verdict.ts'
import { line, niceStep, page, text } from '../svg/elements.ts'
import {
  caption,
  type Frame,
  levelShape,
  type Step,
  stepShape,
  timeAxis,
  valueAxis,
  xOf,
} from './svg-panel.ts'
import type { Point, Timeline, TimelineSummary } from './timeline.ts'
import { count, decimal } from './timeline-text.ts'

/** What the picture shows besides the timeline. */
export interface PictureFacts {
  verdict: OutageVerdict
  summary: TimelineSummary
  /** Target rate in requests per second. */
  rate: number
  /** A description of what it ran on. */
  stack: string
  cores: number
  date: Date
}

const WIDTH = 960
const LEFT = 76
const RIGHT = 28
const FIRST_TOP = 118
const PANEL_HEIGHT = 112
const PANEL_STEP = 156
const HEIGHT = FIRST_TOP + 2 * PANEL_STEP + PANEL_HEIGHT + 42
/** Space for the labels after the drain. */
const SAID_WIDTH = 130
/** A drain rate above this multiple of the load would flatten everything else: its top is cut off and labelled. */
const TALLEST = 4

const STYLE = `
.good{fill:var(--green)}.bad{fill:var(--red)}.title{font-size:15px;font-weight:600}.said{font-size:14px;font-weight:600}
text.over{paint-order:stroke;stroke:var(--ground);stroke-width:4px;stroke-opacity:.7;stroke-linejoin:round}
.acked{fill:var(--green);stroke:var(--green)}.stored{fill:var(--blue);stroke:var(--blue)}.lag{fill:var(--orange);stroke:var(--orange)}
.line.acked,.line.stored,.line.lag{fill:none}.area{fill-opacity:.2}text.title,.area{stroke:none}
.outage{fill:var(--red);fill-opacity:.1}.edge{stroke:var(--red);stroke-dasharray:4 3}.back{stroke:var(--soft);stroke-dasharray:2 3}.cut{stroke:var(--ground);stroke-width:3}
text.down{fill:var(--red);font-weight:600}`

/** The picture of an outage: 202s, stored rows and lag over the same time. */
export function timelineSvg({ points, moments }: Timeline, facts: PictureFacts): string {
  // Without the warm-up and the time after the load.
  const { warmUpS } = facts.summary
  const { loadEndedS = Infinity } = moments
  const isCold = ({ fromS }: Point) => Math.round(fromS) < warmUpS
  const shown = points.filter((point) => !isCold(point) && point.atS <= loadEndedS)
  const startS = Math.round(shown[0]?.fromS ?? 0)
  const endS = shown.at(-1)?.atS ?? 1
  const picture: Picture = {
    points: shown,
    before: points.findLast(isCold),
    moments,
    facts,
    frame: (n, max) => {
      const top = FIRST_TOP + n * PANEL_STEP
      return { left: LEFT, top, width: WIDTH - LEFT - RIGHT, height: PANEL_HEIGHT, startS, endS, max }
    },
  }
  const { ok } = facts.verdict
  const title = `${ok ? '' : 'NOT OK: '}${verdictLine(facts.verdict)}`
  const head = { title, titleClasses: ok ? 'good' : 'bad', about: describe(facts), style: STYLE }
  const panels = [ackedPanel, storedPanel, lagPanel].map((draw) => draw(picture))
  return page({ ...head, width: WIDTH, height: HEIGHT }, [
    momentLabels(picture),
    ...panels,
    timeAxis(picture.frame(2, 1)),
  ])
}

interface Picture extends Timeline {
  facts: PictureFacts
  /** The last point before those shown. */
  before: Point | undefined
  /** The n-th panel from the top, for values up to `max`. */
  frame: (n: number, max: number) => Frame
}

function describe({ summary, rate, stack, cores, date }: PictureFacts): string {
  return [
    `PostgreSQL stopped for ${decimal(summary.outageS)} s`,
    `${count(rate)} requests/s`,
    `${stack}, ${count(cores)} cores`,
    `${date.toISOString().slice(0, 16).replace('T', ' ')} UTC`,
    'npx firehose demo',
  ].join(' · ')
}

function ackedPanel(picture: Picture): string {
  const { p99Ms, ackedPerSDuring } = picture.facts.summary
  const steps = stepsOf(picture, ({ ackedPerS }) => ackedPerS)
  const frame = picture.frame(0, roomAbove(Math.max(...steps.map(({ value }) => value ?? 0))))
  const latencies = `p99 ${decimal(p99Ms.during)} ms; before ${decimal(p99Ms.before)}, after ${decimal(p99Ms.after)}`
  return panel(picture, frame, 'acked', '202s per second', [
    stepShape(frame, steps, 'acked'),
    saidInOutage(picture, frame, 62, [
      { said: `clients still get ${count(ackedPerSDuring)} per second`, classes: 'said acked' },
      { said: latencies, classes: '' },
    ]),
  ])
}

function storedPanel(picture: Picture): string {
  const { rate, summary } = picture.facts
  const steps = stepsOf(picture, ({ storedPerS }) => storedPerS)
  const most = Math.max(...steps.map(({ value }) => value ?? 0))
  const isCut = most > TALLEST * rate
  const frame = picture.frame(1, roomAbove(isCut ? 1.7 * rate : most))
  const tall = steps.filter(({ value }) => (value ?? 0) > frame.max)
  const labelX = xOf(frame, tall.at(-1)?.toS ?? 0) + 8
  return panel(picture, frame, 'stored', 'Rows stored per second', [
    stepShape(frame, steps, 'stored'),
    ...neighbours(tall).map(({ fromS, toS }) => cut(frame, fromS, toS)),
    isCut ? caption(frame, labelX, 16, [{ said: `↑ ${count(most)}`, classes: 'said stored' }]) : '',
    saidInOutage(picture, frame, 62, [
      { said: `${count(summary.storedPerSDuring)} per second`, classes: 'said stored' },
    ]),
  ])
}

function lagPanel(picture: Picture): string {
  const { stoppedS, caughtUpS } = picture.moments
  const { largestLag, drainS, drainedPerS } = picture.facts.summary
  const { before } = picture
  const frame = picture.frame(2, roomAbove(largestLag))
  const { startS } = frame
  // The line starts at the previous level; a new stack has no lag.
  const first = { fromS: startS, toS: startS, value: before === undefined ? 0 : before.lag }
  const steps = [first, ...stepsOf(picture, ({ lag }) => lag)]
  const said: string[] = []
  if (stoppedS !== undefined) {
    const waiting = { said: `up to ${count(largestLag)} events wait in Kafka`, classes: 'said lag' }
    said.push(caption(frame, xOf(frame, stoppedS) + 12, 28, [waiting]))
  }
  if (caughtUpS !== undefined) {
    const x = Math.min(xOf(frame, caughtUpS) + 8, WIDTH - RIGHT - SAID_WIDTH)
    const drained = [
      { said: `drained in ${decimal(drainS)} s`, classes: 'said lag' },
      { said: `${count(drainedPerS)} rows/s`, classes: '' },
    ]
    said.push(caption(frame, x, 60, drained))
  }
  return panel(picture, frame, 'lag', 'Lag: in Kafka, not stored yet', [
    levelShape(frame, steps, 'lag'),
    ...said,
  ])
}

function panel(picture: Picture, frame: Frame, name: string, title: string, content: string[]): string {
  const heading = text(frame.left, frame.top - 12, title, `title ${name}`)
  const shapes = [outageBand(picture, frame), valueAxis(frame), caughtUpLine(picture, frame), ...content]
  return [`<g id="${name}">`, heading, ...shapes, '</g>'].join('\n')
}

/** Start and end of the outage; undefined if there was none. */
function outageOf({ points, moments }: Picture): { fromS: number; toS: number } | undefined {
  if (moments.stoppedS === undefined) return undefined
  return {
    fromS: moments.stoppedS,
    toS: moments.startedS ?? Math.max(moments.stoppedS, points.at(-1)?.atS ?? 0),
  }
}

function outageBand(picture: Picture, frame: Frame): string {
  const outage = outageOf(picture)
  if (outage === undefined) return ''
  const [from, to] = [xOf(frame, outage.fromS), xOf(frame, outage.toS)]
  const [top, bottom] = [frame.top, frame.top + frame.height]
  const edges = [from, to].map((x) => line(x, top, x, bottom, 'edge'))
  const width = (to - from).toFixed(1)
  return `<rect class="outage" x="${from}" y="${top}" width="${width}" height="${frame.height}"/>${edges.join('')}`
}

function caughtUpLine({ moments }: Picture, frame: Frame): string {
  if (moments.caughtUpS === undefined) return ''
  const x = xOf(frame, moments.caughtUpS)
  return line(x, frame.top, x, frame.top + frame.height, 'back')
}

/** Labels of the outage and of the end of the drain, above the first panel. */
function momentLabels(picture: Picture): string {
  const frame = picture.frame(0, 1)
  const outage = outageOf(picture)
  const { caughtUpS } = picture.moments
  const labels: string[] = []
  if (outage !== undefined) {
    const middle = xOf(frame, (outage.fromS + outage.toS) / 2)
    const label = `PostgreSQL is down: ${decimal(outage.toS - outage.fromS)} s`
    labels.push(text(middle, frame.top - 12, label, 'said down mid'))
  }
  if (caughtUpS !== undefined)
    labels.push(text(xOf(frame, caughtUpS), frame.top - 12, 'caught up', 'soft mid'))
  return labels.join('\n')
}

function saidInOutage(
  picture: Picture,
  frame: Frame,
  down: number,
  lines: readonly { said: string; classes: string }[],
): string {
  const outage = outageOf(picture)
  if (outage === undefined) return ''
  const centred = lines.map(({ said, classes }) => ({ said, classes: `${classes} mid` }))
  return caption(frame, xOf(frame, (outage.fromS + outage.toS) / 2), down, centred)
}

/** Two slanted strokes across a shape that extends above the frame. */
function cut(frame: Frame, fromS: number, toS: number): string {
  const [from, to] = [xOf(frame, fromS) - 4, xOf(frame, toS) + 4]
  const stroke = (y: number) => line(from, y + 4, to, y - 4, 'cut')
  return stroke(frame.top + 18) + stroke(frame.top + 25)
}

/** Merges adjacent steps. */
function neighbours(steps: readonly Step[]): { fromS: number; toS: number }[] {
  const joined: { fromS: number; toS: number }[] = []
  for (const { fromS, toS } of steps) {
    const last = joined.at(-1)
    if (last?.toS === fromS) last.toS = toS
    else joined.push({ fromS, toS })
  }
  return joined
}

function stepsOf({ points }: Picture, valueOf: (point: Point) => number | undefined): Step[] {
  return points.map((point) => ({ fromS: point.fromS, toS: point.atS, value: valueOf(point) }))
}

/** A round value with some space above the highest. */
function roomAbove(highest: number): number {
  const least = Math.max(1, highest) * 1.1
  const step = niceStep(least, 6)
  return Math.ceil(least / step) * step
}

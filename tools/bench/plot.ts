/* Line charts as SVG text, without a library. Pure. */
import { gridLine, niceStep, page, round, text, tick } from '../svg/elements.ts'

interface Axis {
  label: string
  /** Logarithmic; otherwise linear from 0. */
  isLog: boolean
}

/** One line of a chart. Its points are in ascending order of x, and above 0 on a logarithmic axis. */
export interface Line {
  name: string
  colour: 'blue' | 'orange'
  isDashed: boolean
  points: readonly (readonly [x: number, y: number])[]
}

export interface Chart {
  title: string
  /** A sentence below the title: what was measured, and on which machine. */
  about: string
  x: Axis
  y: Axis
  /** At least one, with at least one point. */
  lines: readonly Line[]
}

const WIDTH = 760
const HEIGHT = 440
const BOX = { left: 76, top: 104, width: 656, height: 272 }
const MOST_TICKS = 6
const LEGEND_STEP = 150
const SAMPLE_WIDTH = 28

/** 1, 2 and 5 times powers of ten. */
const LOG_TICKS = Array.from({ length: 16 }, (_, n) =>
  [1, 2, 5].map((factor) => Number(`${factor}e${n - 5}`)),
).flat()

const STYLE = `
.dashed{stroke-dasharray:6 4}.blue{stroke:var(--blue)}.orange{stroke:var(--orange)}
circle.blue{fill:var(--blue)}circle.orange{fill:var(--orange)}`

/** The chart as a complete SVG file. */
export function chartSvg({ title, about, x, y, lines }: Chart): string {
  const points = lines.flatMap((line) => line.points)
  const across = scaleOf(
    x,
    points.map(([value]) => value),
  )
  const up = scaleOf(
    y,
    points.map(([, value]) => value),
  )
  const xOf = (value: number): number => round(BOX.left + BOX.width * across.share(value))
  const yOf = (value: number): number => round(BOX.top + BOX.height * (1 - up.share(value)))
  const [right, bottom] = [BOX.left + BOX.width, BOX.top + BOX.height]
  return page({ width: WIDTH, height: HEIGHT, title, about, style: STYLE }, [
    ...lines.map((line, n) => legend(line, BOX.left + n * LEGEND_STEP, 84)),
    ...up.ticks.map((value) => gridLine(BOX.left, right, yOf(value), value)),
    ...across.ticks.map((value) => tick(xOf(value), bottom, value.toLocaleString('en-US'))),
    text(BOX.left + BOX.width / 2, bottom + 44, x.label, 'soft mid'),
    `<g transform="translate(20 ${BOX.top + BOX.height / 2}) rotate(-90)">${text(0, 0, y.label, 'soft mid')}</g>`,
    ...lines.map((line) => {
      const places = line.points.map(([px, py]) => [xOf(px), yOf(py)] as const)
      const dots = places.map(([cx, cy]) => `<circle class="${line.colour}" cx="${cx}" cy="${cy}" r="3"/>`)
      return `<path class="${classOf(line)}" d="M${places.map((place) => place.join(' ')).join('L')}"/>${dots.join('')}`
    }),
  ])
}

/** The tick values of an axis and the mapping of a value to a fraction of its length. The outer ticks are its ends. */
function scaleOf(
  { isLog }: Axis,
  values: readonly number[],
): { ticks: number[]; share: (value: number) => number } {
  const ticks = isLog ? logTicks(Math.min(...values), Math.max(...values)) : linearTicks(Math.max(...values))
  const place = isLog ? Math.log : (value: number): number => value
  const [first, last] = [place(ticks[0] ?? 0), place(ticks.at(-1) ?? 1)]
  return { ticks, share: (value) => (place(value) - first) / (last - first) }
}

function logTicks(min: number, max: number): number[] {
  const first = LOG_TICKS.findLastIndex((value) => value <= min)
  const last = LOG_TICKS.findIndex((value) => value >= max)
  return LOG_TICKS.slice(first, Math.max(last, first + 1) + 1)
}

function linearTicks(max: number): number[] {
  const step = niceStep(max, MOST_TICKS)
  return Array.from({ length: Math.ceil(max / step - 1e-9) + 1 }, (_, n) => n * step)
}

function legend(line: Line, x: number, y: number): string {
  return `<path class="${classOf(line)}" d="M${x} ${y - 4}h${SAMPLE_WIDTH}"/>${text(x + SAMPLE_WIDTH + 8, y, line.name, '')}`
}

function classOf({ colour, isDashed }: Line): string {
  return `line ${colour}${isDashed ? ' dashed' : ''}`
}

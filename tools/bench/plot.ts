/* Line charts as SVG text, without a library. Pure. */
import { escapeXml, niceStep, text } from '../demo/svg-panel.ts'

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

// An image in a page sees the reader's light or dark preference but not the page's colours, so it has its own background.
const STYLE = `
svg{--ground:#fff;--ink:#1f2328;--soft:#59636e;--grid:#d8dee4;--blue:#0969da;--orange:#bc4c00}
@media (prefers-color-scheme:dark){svg{--ground:#0d1117;--ink:#f0f6fc;--soft:#9198a1;--grid:#2a313c;--blue:#4493f8;--orange:#f0883e}}
text{font:13px system-ui,-apple-system,"Segoe UI","Liberation Sans",Helvetica,Arial,sans-serif;fill:var(--ink)}
.title{font-size:18px;font-weight:600}.soft{fill:var(--soft)}.axis{fill:var(--soft);font-size:12px}
.mid{text-anchor:middle}.end{text-anchor:end}
.ground{fill:var(--ground);stroke:var(--grid)}.grid{stroke:var(--grid)}
.line{fill:none;stroke-width:2;stroke-linejoin:round}.dashed{stroke-dasharray:6 4}
.blue{stroke:var(--blue)}.orange{stroke:var(--orange)}circle.blue{fill:var(--blue)}circle.orange{fill:var(--orange)}`

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
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img" aria-labelledby="title about">`,
    `<title id="title">${escapeXml(title)}</title>`,
    `<desc id="about">${escapeXml(about)}</desc>`,
    `<style>${STYLE}</style>`,
    `<rect class="ground" x=".5" y=".5" width="${WIDTH - 1}" height="${HEIGHT - 1}" rx="8"/>`,
    text(24, 34, title, 'title'),
    text(24, 56, about, 'soft'),
    ...lines.map((line, n) => legend(line, BOX.left + n * LEGEND_STEP, 84)),
    ...up.ticks.map((tick) => {
      const at = yOf(tick)
      const grid = `<line class="grid" x1="${BOX.left}" y1="${at}" x2="${right}" y2="${at}"/>`
      return grid + text(BOX.left - 8, at + 4, said(tick), 'axis end')
    }),
    ...across.ticks.map((tick) => {
      const at = xOf(tick)
      const grid = `<line class="grid" x1="${at}" y1="${bottom}" x2="${at}" y2="${bottom + 5}"/>`
      return grid + text(at, bottom + 20, said(tick), 'axis mid')
    }),
    text(BOX.left + BOX.width / 2, bottom + 44, x.label, 'soft mid'),
    `<g transform="translate(20 ${BOX.top + BOX.height / 2}) rotate(-90)">${text(0, 0, y.label, 'soft mid')}</g>`,
    ...lines.map((line) => {
      const places = line.points.map(([px, py]) => [xOf(px), yOf(py)] as const)
      const dots = places.map(([cx, cy]) => `<circle class="${line.colour}" cx="${cx}" cy="${cy}" r="3"/>`)
      return `<path class="${classOf(line)}" d="M${places.map((place) => place.join(' ')).join('L')}"/>${dots.join('')}`
    }),
    '</svg>\n',
  ].join('\n')
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
  const first = LOG_TICKS.findLastIndex((tick) => tick <= min)
  const last = LOG_TICKS.findIndex((tick) => tick >= max)
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

function said(tick: number): string {
  return tick.toLocaleString('en')
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}

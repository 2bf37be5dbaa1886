/* The parts of a chart: scales and shapes as SVG text. Pure. */

/** One value over a span of time; undefined when it was not seen. */
export interface Step {
  fromS: number
  toS: number
  value: number | undefined
}

/** Where a panel is and what it spans. */
export interface Frame {
  left: number
  top: number
  width: number
  height: number
  /** Times of the left and the right edge. */
  startS: number
  endS: number
  /** Value at the top edge; 0 is at the bottom. */
  max: number
}

/** Steps of 1, 2 or 5 times a power of ten, so that at most `most` fit below `max`. */
export function niceStep(max: number, most: number): number {
  const least = Math.max(max, 1e-9) / most
  const power = 10 ** Math.floor(Math.log10(least))
  return power * ([1, 2, 5, 10].find((factor) => factor * power >= least * (1 - 1e-9)) ?? 10)
}

/** Horizontal place of a time. */
export function xOf({ left, width, startS, endS }: Frame, seconds: number): number {
  return round(left + ((seconds - startS) / (endS - startS)) * width)
}

/** Vertical place of a value; what is above the frame ends at its top. */
function yOf({ top, height, max }: Frame, value: number): number {
  return round(top + height * (1 - Math.min(1, value / max)))
}

/** A rate, which is the same over each span: a line with steps, and the area below it. Gaps stay open. */
export function stepShape(frame: Frame, steps: readonly Step[], name: string): string {
  const runs = runsOf(steps).map((run) =>
    run.flatMap(({ fromS, toS, value }) => {
      const y = yOf(frame, value)
      return [`${xOf(frame, fromS)} ${y}`, `${xOf(frame, toS)} ${y}`]
    }),
  )
  return shape(frame, runs, name)
}

/** A level, seen at the end of each span: a line from one to the next, and the area below it. Gaps stay open. */
export function levelShape(frame: Frame, steps: readonly Step[], name: string): string {
  const runs = runsOf(steps).map((run) =>
    run.map(({ toS, value }) => `${xOf(frame, toS)} ${yOf(frame, value)}`),
  )
  return shape(frame, runs, name)
}

/** Horizontal lines with their values. */
export function valueAxis(frame: Frame): string {
  const right = frame.left + frame.width
  return gridValues(frame)
    .map((value) => {
      const y = yOf(frame, value)
      const line = `<line class="grid" x1="${frame.left}" y1="${y}" x2="${right}" y2="${y}"/>`
      return line + text(frame.left - 8, y + 4, value.toLocaleString('en-US'), 'axis end')
    })
    .join('')
}

/**
 * Lines of text, one below the other, near `down` below the frame's top, where no line of the value axis strikes them
 * through.
 */
export function caption(
  frame: Frame,
  x: number,
  down: number,
  lines: readonly { said: string; classes: string }[],
): string {
  const middle = betweenLines(frame, down) + 5
  return lines
    .map(({ said, classes }, n) =>
      text(x, middle + (n - (lines.length - 1) / 2) * 18, said, `over ${classes}`),
    )
    .join('')
}

/** The middle between two lines of the value axis. */
function betweenLines(frame: Frame, down: number): number {
  const lines = gridValues(frame).map((value) => yOf(frame, value))
  const middles = lines.slice(1).map((y, n) => (y + (lines[n] ?? y)) / 2)
  const wanted = frame.top + down
  const [nearest = wanted] = middles.toSorted((a, b) => Math.abs(a - wanted) - Math.abs(b - wanted))
  return nearest
}

/** Seconds below a panel. */
export function timeAxis(frame: Frame): string {
  const { startS, endS } = frame
  const step = [5, 10, 20, 30, 60, 120, 300, 600].find((s) => (endS - startS) / s <= 12) ?? 3600
  const first = Math.ceil(startS / step)
  const times = Array.from({ length: Math.floor(endS / step) - first + 1 }, (_, n) => (first + n) * step)
  const y = frame.top + frame.height
  return times
    .map((seconds) => {
      const x = xOf(frame, seconds)
      const tick = `<line class="tick" x1="${x}" y1="${y}" x2="${x}" y2="${y + 5}"/>`
      return tick + text(x, y + 20, `${seconds} s`, 'axis mid')
    })
    .join('')
}

/** A text element. `classes` may hold `mid` and `end`, which anchor it there. */
export function text(x: number, y: number, content: string, classes: string): string {
  return `<text x="${round(x)}" y="${round(y)}" class="${classes}">${escapeXml(content)}</text>`
}

/** Text as it may stand in XML. */
export function escapeXml(content: string): string {
  const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
  return content.replaceAll(/[&<>"]/g, (char) => entities[char] ?? char)
}

function gridValues({ max }: Frame): number[] {
  const step = niceStep(max, 3)
  return Array.from({ length: Math.floor(max / step + 1e-9) + 1 }, (_, n) => n * step)
}

function shape(frame: Frame, runs: readonly string[][], name: string): string {
  const bottom = frame.top + frame.height
  return runs
    .map((run) => {
      const line = run.join('L')
      const [first = '', last = ''] = [run[0], run.at(-1)].map((place) => place?.split(' ')[0])
      return (
        `<path class="area ${name}" d="M${first} ${bottom}L${line}L${last} ${bottom}Z"/>` +
        `<path class="line ${name}" d="M${line}"/>`
      )
    })
    .join('')
}

/** Neighbours whose values are known. */
function runsOf(steps: readonly Step[]): { fromS: number; toS: number; value: number }[][] {
  const runs: { fromS: number; toS: number; value: number }[][] = [[]]
  for (const { fromS, toS, value } of steps) {
    if (value === undefined) runs.push([])
    else runs.at(-1)?.push({ fromS, toS, value })
  }
  return runs.filter((run) => run.length > 0)
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}

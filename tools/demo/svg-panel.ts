/* The parts of a timeline panel: scales, axes and shapes as SVG text. Pure. */
import { gridLine, niceStep, round, text, tick } from '../svg/elements.ts'

/** A value over an interval; undefined if it was not observed. */
export interface Step {
  fromS: number
  toS: number
  value: number | undefined
}

/** Position and ranges of a panel. */
export interface Frame {
  left: number
  top: number
  width: number
  height: number
  /** Times at the left and right edges. */
  startS: number
  endS: number
  /** Value at the top edge; 0 is at the bottom. */
  max: number
}

/** The x coordinate of a time. */
export function xOf({ left, width, startS, endS }: Frame, seconds: number): number {
  return round(left + ((seconds - startS) / (endS - startS)) * width)
}

/** The y coordinate of a value, clipped at the top of the frame. */
function yOf({ top, height, max }: Frame, value: number): number {
  return round(top + height * (1 - Math.min(1, value / max)))
}

/** A rate, constant over each interval: a step line and the area below it, with gaps. */
export function stepShape(frame: Frame, steps: readonly Step[], name: string): string {
  const runs = runsOf(steps).map((run) =>
    run.flatMap(({ fromS, toS, value }) => {
      const y = yOf(frame, value)
      return [`${xOf(frame, fromS)} ${y}`, `${xOf(frame, toS)} ${y}`]
    }),
  )
  return shape(frame, runs, name)
}

/** A level, observed at the end of each interval: a line through the values and the area below it, with gaps. */
export function levelShape(frame: Frame, steps: readonly Step[], name: string): string {
  const runs = runsOf(steps).map((run) =>
    run.map(({ toS, value }) => `${xOf(frame, toS)} ${yOf(frame, value)}`),
  )
  return shape(frame, runs, name)
}

/** Grid lines with their values. */
export function valueAxis(frame: Frame): string {
  const right = frame.left + frame.width
  return gridValues(frame)
    .map((value) => gridLine(frame.left, right, yOf(frame, value), value))
    .join('')
}

/**
 * Lines of text, about `down` below the frame's top, placed so that no grid line crosses them.
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

/** The y coordinate midway between two grid lines that is nearest to `down` below the top. */
function betweenLines(frame: Frame, down: number): number {
  const lines = gridValues(frame).map((value) => yOf(frame, value))
  const middles = lines.slice(1).map((y, n) => (y + (lines[n] ?? y)) / 2)
  const wanted = frame.top + down
  const [nearest = wanted] = middles.toSorted((a, b) => Math.abs(a - wanted) - Math.abs(b - wanted))
  return nearest
}

/** The axis of seconds below a panel. */
export function timeAxis(frame: Frame): string {
  const { startS, endS } = frame
  const step = [5, 10, 20, 30, 60, 120, 300, 600].find((s) => (endS - startS) / s <= 12) ?? 3600
  const first = Math.ceil(startS / step)
  const times = Array.from({ length: Math.floor(endS / step) - first + 1 }, (_, n) => (first + n) * step)
  const y = frame.top + frame.height
  return times.map((seconds) => tick(xOf(frame, seconds), y, `${seconds} s`)).join('')
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

/** The sequences of consecutive steps with known values. */
function runsOf(steps: readonly Step[]): { fromS: number; toS: number; value: number }[][] {
  const runs: { fromS: number; toS: number; value: number }[][] = [[]]
  for (const { fromS, toS, value } of steps) {
    if (value === undefined) runs.push([])
    else runs.at(-1)?.push({ fromS, toS, value })
  }
  return runs.filter((run) => run.length > 0)
}

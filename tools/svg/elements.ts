/* SVG elements as text, for the charts of the benchmark and the picture of the demo. Pure. */

export interface Page {
  width: number
  height: number
  /** The heading, which is also the accessible name of the picture. */
  title: string
  /** Classes of the heading. */
  titleClasses?: string
  /** One line below the heading: what was measured, and on which machine. */
  about: string
  /** CSS in addition to that of the elements. */
  style: string
}

// An image in a page sees the reader's light or dark preference but not the page's colours, so it has its own background.
const STYLE = `
svg{--ground:#fff;--ink:#1f2328;--soft:#59636e;--grid:#d8dee4;--green:#1a7f37;--blue:#0969da;--orange:#bc4c00;--red:#cf222e}
@media (prefers-color-scheme:dark){svg{--ground:#0d1117;--ink:#f0f6fc;--soft:#9198a1;--grid:#2a313c;--green:#3fb950;--blue:#4493f8;--orange:#f0883e;--red:#f85149}}
text{font:13px system-ui,-apple-system,"Segoe UI","Liberation Sans",Helvetica,Arial,sans-serif;fill:var(--ink)}
.heading{font-size:20px;font-weight:700}.soft{fill:var(--soft)}.axis{fill:var(--soft);font-size:12px}
.mid{text-anchor:middle}.end{text-anchor:end}
.ground{fill:var(--ground);stroke:var(--grid)}.grid{stroke:var(--grid)}.tick{stroke:var(--soft)}
.line{fill:none;stroke-width:2;stroke-linejoin:round}`

/** A complete SVG file. */
export function page(
  { width, height, title, titleClasses = '', about, style }: Page,
  content: readonly string[],
): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-labelledby="title about">`,
    `<title id="title">${escapeXml(title)}</title>`,
    `<desc id="about">${escapeXml(about)}</desc>`,
    `<style>${STYLE}${style}</style>`,
    `<rect class="ground" x=".5" y=".5" width="${width - 1}" height="${height - 1}" rx="8"/>`,
    text(24, 38, title, `heading ${titleClasses}`),
    text(24, 62, about, 'soft'),
    ...content,
    '</svg>\n',
  ].join('\n')
}

/** A text element. The classes `mid` and `end` set its anchor. */
export function text(x: number, y: number, content: string, classes: string): string {
  return `<text x="${round(x)}" y="${round(y)}" class="${classes}">${escapeXml(content)}</text>`
}

export function line(x1: number, y1: number, x2: number, y2: number, classes: string): string {
  return `<line class="${classes}" x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}"/>`
}

/** A horizontal grid line with its value to the left. */
export function gridLine(left: number, right: number, y: number, value: number): string {
  return line(left, y, right, y, 'grid') + text(left - 8, y + 4, value.toLocaleString('en-US'), 'axis end')
}

/** A mark on a horizontal axis with its label below. */
export function tick(x: number, y: number, label: string): string {
  return line(x, y, x, y + 5, 'tick') + text(x, y + 20, label, 'axis mid')
}

/** A step of 1, 2 or 5 times a power of ten, so that at most `most` steps fit below `max`. */
export function niceStep(max: number, most: number): number {
  const least = Math.max(max, 1e-9) / most
  const power = 10 ** Math.floor(Math.log10(least))
  return power * ([1, 2, 5, 10].find((factor) => factor * power >= least * (1 - 1e-9)) ?? 10)
}

/** Rounds a coordinate to a tenth of a pixel. */
export function round(value: number): number {
  return Math.round(value * 10) / 10
}

function escapeXml(content: string): string {
  const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
  return content.replaceAll(/[&<>"]/g, (char) => entities[char] ?? char)
}

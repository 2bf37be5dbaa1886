import { escapeControls } from './escape-controls.ts'

/** Formats rows as a table; longer cells are cut to `maxWidth` characters. Control characters are escaped. */
export function formatTable(names: string[], rows: (string | null)[][], maxWidth: number): string {
  const cells = [names, ...rows].map((row) => row.map((value) => cut(value ?? '', maxWidth)))
  const widths = names.map((_, column) =>
    cells.reduce((max, row) => Math.max(max, row[column]?.length ?? 0), 0),
  )
  const lines = cells.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join(' | ')
      .trimEnd(),
  )
  const rule = widths.map((width) => '-'.repeat(width)).join('-+-')
  return [lines[0], rule, ...lines.slice(1)].join('\n')
}

function cut(value: string, maxWidth: number): string {
  const shown = escapeControls(value)
  return shown.length > maxWidth ? `${shown.slice(0, maxWidth - 1)}…` : shown
}

/** Rows as text in columns; longer cells are cut to `maxWidth` characters. */
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

/**
 * Text as a terminal may show it: control characters (line breaks, escape sequences, also those of C1) and those that
 * turn the direction of writing are spelled out, `\n` or `\u009b`.
 */
export function escapeControls(text: string): string {
  return text.replaceAll(/[\p{Cc}\u2028-\u202e\u2066-\u2069]/gu, (char) => {
    const short = JSON.stringify(char).slice(1, -1)
    return short === char ? `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}` : short
  })
}

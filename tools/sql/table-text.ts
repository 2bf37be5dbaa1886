import { escapeControls } from '../../platform/escape-controls.ts'
import { formatTable } from '../../platform/table.ts'

/** The result of one statement. */
export interface Table {
  names: string[]
  /** The first rows. */
  rows: (string | null)[][]
  /** Such as SELECT. */
  verb: string
  /** The number of all rows. */
  count: number
}

const CELL_WIDTH = 80

/** The result as people read it; cells are cut on a terminal, unless they are shown from top to bottom. */
export function tableText({ names, rows, verb, count }: Table, isExpanded: boolean): string {
  if (names.length === 0) return `${verb} ${count}`
  const text = isExpanded
    ? rows.map((row, index) => recordText(names, row, index + 1)).join('\n')
    : formatTable(names, rows, process.stdout.isTTY ? CELL_WIDTH : Number.POSITIVE_INFINITY)
  const more = count > rows.length ? `, the first ${rows.length} shown` : ''
  return `${text}\n(${count} ${count === 1 ? 'row' : 'rows'}${more})\n`
}

function recordText(names: readonly string[], row: readonly (string | null)[], number: number): string {
  const width = Math.max(...names.map((name) => name.length))
  const lines = names.map((name, column) => `${name.padEnd(width)} | ${escapeControls(row[column] ?? '')}`)
  return [`-[ RECORD ${number} ]`, ...lines].join('\n')
}

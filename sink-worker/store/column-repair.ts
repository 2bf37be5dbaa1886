/**
 * The statement that gives `events` the columns that it lacks, and those of another type their own. Pure.
 *
 * @param found the columns with their types, as format_type() spells them, separated by commas
 * @param expected the same, as they should be
 */
export function columnRepair(found: string, expected: string): string {
  const has = new Map(columnsOf(found))
  const changes = columnsOf(expected).flatMap(([name, type]) => {
    if (has.get(name) === type) return []
    const wanted = type === 'text' ? 'text COLLATE "C"' : type
    return [has.has(name) ? `ALTER COLUMN "${name}" TYPE ${wanted}` : `ADD COLUMN "${name}" ${wanted}`]
  })
  return `ALTER TABLE events ${changes.join(', ')};`
}

function columnsOf(text: string): [name: string, type: string][] {
  return text.split(/, (?=[a-z_]+ )/).map((column) => {
    const space = column.indexOf(' ')
    return [column.slice(0, space), column.slice(space + 1)]
  })
}

import { ERA, OTHER, ROOT, STRAY } from '../../postgres/partitions/tree.ts'

/** The names that the tree needs besides that of the root. */
export const TREE_NAMES: readonly string[] = [ERA, STRAY, OTHER]

/** PostgreSQL cuts longer names. */
const MAX_BYTES = 63

/** The name of an index or of a statistics object once its table is `events_other`: the root gets the old one. Pure. */
export function otherName(name: string): string {
  return `${OTHER}_${name.startsWith(`${ROOT}_`) ? name.slice(ROOT.length + 1) : name}`
}

/**
 * The name, cut to what PostgreSQL allows, with a number if another has it.
 *
 * @param taken names that are in use; the new one is added
 */
export function uniqueName(name: string, taken: Set<string>): string {
  for (let n = 0; ; n++) {
    const end = n === 0 ? '' : String(n)
    const candidate = cut(name, MAX_BYTES - end.length) + end
    if (taken.has(candidate)) continue
    taken.add(candidate)
    return candidate
  }
}

function cut(name: string, bytes: number): string {
  let start = ''
  for (const character of name) {
    if (Buffer.byteLength(start + character) > bytes) break
    start += character
  }
  return start
}

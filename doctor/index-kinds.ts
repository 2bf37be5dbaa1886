import type { IndexKind } from '../postgres/partitions/indexes.ts'
import type { IndexFacts } from './facts-postgres.ts'

/** Whether it does the work of this one, whoever made it. */
export function serves({ keys }: IndexFacts, kind: IndexKind): boolean {
  return keys === keysOf(kind) || keys?.startsWith(`${keysOf(kind)},`) === true
}

/** The columns in the definition, comma-separated. */
export function keysOf({ definition }: IndexKind): string {
  const list = /\(([^)]*)\)/.exec(definition)?.[1] ?? ''
  return list
    .split(', ')
    .map((column) => column.replace(/ .*/, '').replaceAll('"', ''))
    .join()
}

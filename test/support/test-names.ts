import { relative } from 'node:path'
import type { TestEvent } from 'node:test/reporters'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** The file with the names of the tests that ran on a backend. */
export function namesFile(backend: string): string {
  return `${root}.firehose/test-names/${backend}.txt`
}

/**
 * The full names of all completed tests, sorted: `file > suite > test`, followed by a mark if the test was skipped, is to
 * do, or failed. A suite is listed only if it was itself skipped or failed.
 */
export async function collectNames(events: AsyncIterable<TestEvent>): Promise<string[]> {
  const path: string[] = []
  const names: string[] = []
  for await (const { type, data } of events) {
    if (type === 'test:start') {
      // Tests of one level start in sequence, each before its subtests.
      path.splice(data.nesting, Infinity, data.name)
    } else if (type === 'test:pass' || type === 'test:fail') {
      const mark = markOf(type, data)
      if (data.details.type === 'suite' && mark === '') continue
      const place = [relative(root, data.file ?? ''), ...path.slice(0, data.nesting), data.name]
      names.push(place.join(' > ') + mark)
    }
  }
  return names.toSorted()
}

/** Describes the names that are in only one of the lists; empty if the lists are equal. */
export function differenceOf(lists: Record<string, string[]>): string[] {
  return Object.entries(lists).flatMap(([one, names]) =>
    Object.entries(lists)
      .filter(([other]) => other !== one)
      .flatMap(([other, others]) =>
        without(names, others).map((name) => `on ${one}, but not on ${other}: ${name}`),
      ),
  )
}

/** The multiset difference of two lists. */
function without(names: string[], others: string[]): string[] {
  const rest = [...others]
  return names.filter((name) => {
    const at = rest.indexOf(name)
    if (at >= 0) rest.splice(at, 1)
    return at < 0
  })
}

function markOf(type: 'test:pass' | 'test:fail', { skip, todo }: Marks): string {
  if (isSet(skip)) return ' (skipped)'
  if (isSet(todo)) return ' (to do)'
  return type === 'test:fail' ? ' (failed)' : ''
}

interface Marks {
  skip?: string | boolean
  todo?: string | boolean
}

function isSet(mark: string | boolean | undefined): boolean {
  return mark !== undefined && mark !== false // an empty string is a reason
}

import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { TestEvent } from 'node:test/reporters'
import { backendName } from '../../tools/stack/backends.ts'
import { collectNames, namesFile } from './test-names.ts'

/** A reporter for node:test that writes the names of the tests that ran on the chosen backend, for names-difference.ts. */
export default async function* nameReporter(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const file = namesFile(backendName())
  // If this run does not finish, no list of an earlier run may remain.
  rmSync(file, { force: true })
  const names = await collectNames(events)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, names.map((name) => `${name}\n`).join(''))
  yield `names of ${names.length} tests written to ${file}\n`
}

/* Checks that the integration suite ran the same tests on both backends: npm run test:difference. */
import { existsSync, readFileSync } from 'node:fs'
import { differenceOf, namesFile } from './test-names.ts'

const embedded = namesOf('embedded', 'test:integration')
const containers = namesOf('containers', 'test:containers:suite')
if (embedded && containers) {
  const difference = differenceOf({ embedded, containers })
  const marked = embedded.filter((name) => /\((skipped|to do|failed)\)$/.test(name))
  const note = marked.length === 0 ? '' : `, but not all passed: ${marked.join(', ')}`
  say(difference.length === 0 ? [`no difference: ${embedded.length} tests on both${note}`] : difference)
  process.exitCode = difference.length === 0 ? 0 : 1
}

function namesOf(backend: string, script: string): string[] | undefined {
  const file = namesFile(backend)
  if (existsSync(file)) return readFileSync(file, 'utf8').split('\n').filter(Boolean)
  say([`The suite has not been completed on the ${backend} backend: run npm run ${script}.`])
  process.exitCode = 1
  return undefined
}

function say(lines: string[]): void {
  process.stdout.write(lines.map((line) => `${line}\n`).join(''))
}

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { kafkaGuards } from '../guards/kafka-guards.ts'
import { mainGuards } from '../guards/main-guards.ts'

/* The lists of guards agree with their patches, with the tests that they name, and with kafka/README.md. */

const root = fileURLToPath(new URL('../..', import.meta.url))
const guards = [...mainGuards, ...kafkaGuards]
const read = (path: string): string => readFileSync(join(root, path), 'utf8')
const filesIn = (folder: string, extension: string): string[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith(extension))
    .map((path) => path.replaceAll('\\', '/'))

test('each guard has a patch of its own, and each patch belongs to a guard', () => {
  const patches = guards.map(({ patch }) => patch).toSorted()
  assert.deepEqual(patches, filesIn('test/guards', '.patch').toSorted())
})

// Without .git, as in a downloaded archive, git may take the files for those of a repository around it.
const hasGit = existsSync(join(root, '.git')) && spawnSync('git', ['--version']).status === 0
test('each patch of a guard applies', { skip: !hasGit && 'needs git' }, () => {
  const failures = guards.flatMap(({ patch }) => {
    const { status, stderr } = spawnSync('git', ['apply', '--check', `test/guards/${patch}`], {
      cwd: root,
      encoding: 'utf8',
    })
    return status === 0 ? [] : [`${patch}: ${stderr}`]
  })
  assert.deepEqual(failures, [])
})

test('the file of each guard has the test of that title', () => {
  const contract = filesIn('test/contract', '.ts').map((name) => `test/contract/${name}`)
  const missing = guards.filter(({ file, title }) => {
    const sources = file.endsWith('kafka-contract.test.ts') ? [file, ...contract] : [file]
    return !sources.some((source) => titlesIn(read(source)).some((pattern) => pattern.test(title)))
  })
  assert.deepEqual(
    missing.map(({ title }) => title),
    [],
  )
})

test("kafka/README.md lists the patch of each guard of kafka/, with its test's title", () => {
  const rows = read('kafka/README.md')
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .map((line) => line.split(' | '))
  const listed = rows.flatMap((cells) =>
    quotedIn(cells[4]).map((patch) => ({ patch: `kafka/${patch}.patch`, tests: quotedIn(cells[3]) })),
  )
  assert.deepEqual(
    listed.map(({ patch }) => patch).toSorted(),
    kafkaGuards.map(({ patch }) => patch).toSorted(),
  )
  for (const { patch, title } of kafkaGuards) {
    const tests = listed.find((row) => row.patch === patch)?.tests ?? []
    const beginnings = tests.map((text) => text.replace(/ ?\.\.\.$/, ''))
    assert.ok(
      beginnings.some((beginning) => title.startsWith(beginning)),
      `${patch}: ${tests.join()}`,
    )
  }
})

/** The titles of the tests in a source file; a placeholder in one stands for any text. */
function titlesIn(source: string): RegExp[] {
  return [...source.matchAll(/\btest\(\s*(['"`])(.*?)\1,/g)].map(([, quote, title = '']) => {
    const parts = quote === '`' ? title.split(/\$\{.*?\}/) : [title]
    return new RegExp(`^${parts.map((part) => RegExp.escape(part)).join('.*')}$`)
  })
}

function quotedIn(cell = ''): string[] {
  return [...cell.matchAll(/`(.*?)`/g)].map(([, text = '']) => text)
}

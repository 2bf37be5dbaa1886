import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join, normalize } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { withSettings } from '../../cli/settings.ts'

/* What the documentation says of the tree: files, links, commands, metrics, settings, words. */

const root = fileURLToPath(new URL('../..', import.meta.url))
const LEFT_OUT = new Set(['node_modules', '.git', '.firehose'])
const read = (path: string): string => readFileSync(join(root, path), 'utf8')
const files = filesBelow('')
const names = new Set(files.map((path) => basename(path)))
const documents = files.filter((path) => path.endsWith('.md'))
const sources = files
  .filter((path) => !path.endsWith('.md') && path !== 'package-lock.json' && !path.startsWith('test/'))
  .map(read)
  .join('\n')

function filesBelow(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    if (LEFT_OUT.has(entry.name)) return []
    const path = join(folder, entry.name)
    return entry.isDirectory() ? filesBelow(path) : [path]
  })
}

/** What each document says by this pattern, with its first group. */
function* said(pattern: RegExp): Generator<{ document: string; what: string }> {
  for (const document of documents)
    for (const [, what = ''] of read(document).matchAll(pattern)) yield { document, what }
}

test("the README's table of settings is the code's (fix: npm run settings)", () => {
  assert.equal(read('README.md'), withSettings(read('README.md')))
})

test('the client snippet of the README is the file that a test runs', () => {
  const snippet = /<!-- snippet: examples\/send-event\.mjs -->\n```js\n([\s\S]*?)```/.exec(
    read('README.md'),
  )?.[1]
  assert.equal(snippet, read('examples/send-event.mjs'))
})

test('every file and folder that the documents name exists', () => {
  assert.ok(documents.includes('docs/GLOSSARY.md'))
  const missing: string[] = []
  for (const { document, what } of said(
    /`((?:[\w.*-]+\/)*[\w.*-]+\.(?:ts|mjs|py|go|java|php|sql|sh|ya?ml|json|svg|md|patch))`/g,
  )) {
    if (/NNN|acked|\*/.test(what)) continue
    // A name alone stands beside one that has its folder.
    const isThere = what.includes('/')
      ? existsSync(join(root, what)) || existsSync(join(root, dirname(document), what))
      : names.has(what)
    if (!isThere) missing.push(`${document}: ${what}`)
  }
  for (const { document, what } of said(/`((?:[\w-]+\/)+)`/g)) {
    if (!existsSync(join(root, what))) missing.push(`${document}: ${what}`)
  }
  assert.deepEqual(missing, [])
})

test('every link of the documents leads to a file and a heading that exist', () => {
  const broken: string[] = []
  for (const { document, what } of said(/\]\(([^)\s]+)\)/g)) {
    if (/^https?:/.test(what)) continue
    const [path = '', anchor] = what.split('#')
    const target = path === '' ? document : normalize(join(dirname(document), path))
    if (!existsSync(join(root, target))) broken.push(`${document}: ${what}`)
    else if (anchor !== undefined && !headingsOf(target).has(anchor)) broken.push(`${document}: ${what}`)
  }
  assert.deepEqual(broken, [])
})

/** As GitHub makes anchors of headings. */
function headingsOf(document: string): Set<string> {
  const headings = read(document).matchAll(/^#+ (.+)$/gm)
  return new Set(
    [...headings].map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\w\s-]/g, '')
        .replaceAll(' ', '-'),
    ),
  )
}

test('every npm script that the documents name exists, and CONTRIBUTING.md names every one', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
  for (const { document, what } of said(/npm run (?:--silent )?([\w:]+)/g))
    assert.ok(Object.hasOwn(scripts, what), `${document}: npm run ${what}`)
  const contributing = read('CONTRIBUTING.md')
  for (const name of Object.keys(scripts)) {
    const command = ['start', 'test'].includes(name) ? `npm ${name}` : `npm run ${name}`
    assert.match(contributing, new RegExp(`${command}(?![\\w:])`), name)
  }
})

test('every test that docs/FAULTS.md names exists, and every fault test is named there', () => {
  const tests = new Set(
    files.filter((path) => path.endsWith('.test.ts')).map((path) => basename(path, '.test.ts')),
  )
  const rows = read('docs/FAULTS.md').matchAll(/^\|.*\| (`[^|]+`) \|$/gm)
  const named = new Set(
    [...rows].flatMap(([, cell = '']) => cell.split(', ').map((name) => name.slice(1, -1))),
  )
  assert.deepEqual(
    [...named].filter((name) => !tests.has(name)),
    [],
  )
  const faults = files.filter((path) => /^test\/faults\/.*\.test\.ts$/.test(path))
  assert.deepEqual(
    faults.filter((path) => !named.has(basename(path, '.test.ts'))),
    [],
  )
})

test('every metric that the documents name exists', () => {
  for (const { document, what } of said(/\b(firehose_(?:api|sink|maintain)_[a-z_]*[a-z])\b(?!\*)/g))
    assert.ok(sources.includes(`'${what}'`), `${document}: ${what}`)
})

test('the runbook explains every detail of a 401 or 403, and no other', () => {
  const section = /## Clients get 401 or 403\n([\s\S]*?)\n## /.exec(read('docs/RUNBOOK.md'))?.[1] ?? ''
  const [, ...explained] = [...section.matchAll(/^\| (.+?) \|/gm)].map(([, detail = '']) => detail)
  assert.deepEqual(
    explained.filter((detail) => !sources.includes(detail)),
    [],
  )
  const details = files
    .filter((path) => path.startsWith('producer-api/front-door/'))
    .flatMap((path) => [...read(path).matchAll(/\b(?:unauthorized|forbidden|invalid)\(\s*(['"`])(.+?)\1/g)])
    .map(([, , detail = '']) => detail)
  assert.ok(details.length > 15, 'the details are made in another way')
  assert.deepEqual(
    details.filter((detail) => !explained.some((begin) => detail.startsWith(begin))),
    [],
  )
})

test('every variable that the documents name is read somewhere', () => {
  for (const { document, what } of said(/`([A-Z][A-Z0-9]*_[A-Z0-9_]*[A-Z0-9])(?:=[^`]*)?`/g))
    assert.match(
      sources,
      new RegExp(`\\b(?:${what}\\b|${what.replace(/_FILE$/, '')}: secret\\()`),
      `${document}: ${what}`,
    )
})

test('the documents use none of the words that the glossary gives up', () => {
  const table = /## Words that are not used\n([\s\S]*?)(?=\n## |$)/.exec(read('docs/GLOSSARY.md'))?.[1] ?? ''
  const givenUp = [...table.matchAll(/^\| [^|]+ \| ([^|]+) \|$/gm)]
    .flatMap(([, cell = '']) => cell.split(', '))
    .filter((word) => /^[a-z ]+$/.test(word) && word !== 'not')
  assert.ok(givenUp.length > 5, 'the glossary has lost its table')
  const pattern = new RegExp(`\\b(${givenUp.join('|')})\\b`, 'gi')
  const found = [...said(pattern)].filter(({ document }) => document !== 'docs/GLOSSARY.md')
  assert.deepEqual(found, [])
})

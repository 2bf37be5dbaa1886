import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { withSettings } from '../../cli/settings.ts'

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')

test("the README's table of settings is the code's (mend: npm run settings)", () => {
  assert.equal(read('README.md'), withSettings(read('README.md')))
})

test('the client snippet of the README is the file that a test runs', () => {
  const snippet = /<!-- snippet: examples\/send-event\.mjs -->\n```js\n([\s\S]*?)```/.exec(
    read('README.md'),
  )?.[1]
  assert.equal(snippet, read('examples/send-event.mjs'))
})

test('every file that the papers name exists', () => {
  for (const paper of ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md']) {
    for (const [, path = ''] of read(paper).matchAll(/`((?:[\w-]+\/)+[\w.-]+\.(?:ts|mjs|sql))`/g)) {
      if (path.includes('NNN')) continue
      assert.doesNotThrow(() => read(path), `${paper} names ${path}`)
    }
  }
})

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { apiKey } from '../../../cli/api-key.ts'
import { ConfigError } from '../../../platform/env.ts'

const dir = mkdtempSync(join(tmpdir(), 'firehose-api-key-'))
after(() => rmSync(dir, { recursive: true }))

function fileOf(content: string): string {
  const path = join(dir, 'key')
  writeFileSync(path, content)
  return path
}

function problemsOf(env: NodeJS.ProcessEnv): string[] {
  try {
    apiKey(env)
    return []
  } catch (error) {
    assert.ok(error instanceof ConfigError)
    return error.problems
  }
}

test('the key is API_KEY, or what the file API_KEY_FILE holds; an empty variable is none', () => {
  assert.equal(apiKey({}), undefined)
  assert.equal(apiKey({ API_KEY: '' }), undefined)
  assert.equal(apiKey({ API_KEY: 'fh_server_a' }), 'fh_server_a')
  assert.equal(apiKey({ API_KEY_FILE: fileOf('fh_server_a\r\n') }), 'fh_server_a')
  // A token of RFC 6750.
  assert.equal(apiKey({ API_KEY: 'eyJ.aZ0-._~+/==' }), 'eyJ.aZ0-._~+/==')
})

test('what cannot stand in a header is one mistake, which does not show the key', () => {
  for (const bad of ['\0', '\n', '\r\n', ' ', '\t', 'é', '\u{1F511}', '\u0085', '\x7f']) {
    for (const text of [`fh_server_${bad}a`, `${bad}fh_server_a`]) {
      const problems = problemsOf({ API_KEY_FILE: fileOf(text) })
      assert.deepEqual(problems.length, 1, JSON.stringify(text))
      assert.match(problems[0] ?? '', /^API_KEY must be one line of ASCII characters without spaces: /)
      assert.doesNotMatch(problems[0] ?? '', /fh_|\n/)
    }
  }
  assert.equal(problemsOf({ API_KEY: 'fh server' }).length, 1)
})

test('two keys, and a file that cannot be read, are mistakes', () => {
  assert.match(
    problemsOf({ API_KEY: 'a', API_KEY_FILE: fileOf('b') }).join(),
    /^API_KEY and API_KEY_FILE are both set/,
  )
  assert.match(problemsOf({ API_KEY_FILE: join(dir, 'none') }).join(), /^API_KEY_FILE cannot be read/)
  assert.match(problemsOf({ API_KEY_FILE: fileOf('\n') }).join(), /^API_KEY_FILE is an empty file/)
})

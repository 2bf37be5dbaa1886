import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { integer, optionalInteger, parseSettings, secret, text } from '../../../platform/env.ts'

const dir = mkdtempSync(join(tmpdir(), 'firehose-env-'))
after(() => rmSync(dir, { recursive: true }))

function fileOf(content: string): string {
  const path = join(dir, 'secret')
  writeFileSync(path, content)
  return path
}

const settings = {
  KEY: secret('a secret'),
  NAME: text('nobody', 'a name'),
  SINK_PORT: integer(8001, 0, 65_535, 'a port'),
  OTHER_PORT: optionalInteger(1, 65_535, 'another port'),
}

for (const link of ['tcp://10.0.0.9:8001', 'udp://[fd00::9]:53', 'sctp://10.0.0.9:1']) {
  test(`what Kubernetes sets for a Service is ignored with a warning: ${link}`, () => {
    const { values, problems, warnings } = parseSettings(settings, { SINK_PORT: link, OTHER_PORT: link })
    assert.deepEqual([values.SINK_PORT, values.OTHER_PORT, problems], [8001, undefined, []])
    assert.deepEqual(warnings, [
      `SINK_PORT is ignored: "${link}" is what Kubernetes sets for a Service of that name`,
      `OTHER_PORT is ignored: "${link}" is what Kubernetes sets for a Service of that name`,
    ])
  })
}

test('what only resembles it is a mistake, or a text', () => {
  const { values, problems, warnings } = parseSettings(settings, { SINK_PORT: 'http://x', NAME: 'tcp://x:1' })
  assert.equal(values.NAME, 'tcp://x:1')
  assert.deepEqual(problems, ['SINK_PORT must be a whole number from 0 to 65535, not "http://x"'])
  assert.deepEqual(warnings, [])
})

for (const [content, value] of [
  ['pw', 'pw'],
  ['pw\n', 'pw'],
  ['pw\r\n', 'pw'],
  [' p w \n\n', ' p w '],
] as const) {
  test(`a secret is read from the file that KEY_FILE names: ${JSON.stringify(content)}`, () => {
    const { values, problems } = parseSettings(settings, { KEY: '', KEY_FILE: fileOf(content) })
    assert.deepEqual([values.KEY, problems], [value, []])
  })
}

test('two values, an unreadable and an empty file are mistakes, and none shows a secret', () => {
  const found = (env: NodeJS.ProcessEnv): string[] => parseSettings(settings, env).problems
  const file = fileOf('hidden')
  assert.deepEqual(found({ KEY: 'hidden', KEY_FILE: file }), [
    'KEY and KEY_FILE are both set: remove one of them',
  ])
  assert.deepEqual(found({ KEY_FILE: '/none' }), [
    'KEY_FILE cannot be read: /none: no such file or directory',
  ])
  assert.deepEqual(found({ KEY_FILE: dir }), [
    `KEY_FILE cannot be read: ${dir}: illegal operation on a directory`,
  ])
  assert.deepEqual(found({ KEY_FILE: fileOf('\n') }), [`KEY_FILE is an empty file: ${file}`])
})

test('only secrets have a _FILE', () => {
  assert.equal(parseSettings(settings, { NAME_FILE: fileOf('x') }).values.NAME, 'nobody')
})

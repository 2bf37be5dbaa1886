import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { shellWord } from '../../../platform/shell-word.ts'

test('a shell reads what was written, as one word', () => {
  const texts = [
    '/srv/keys.json',
    'my keys/k.json',
    "it's",
    '$HOME',
    '`id`',
    ';id',
    '',
    '*',
    '~',
    'a\\b',
    '"',
    'é',
  ]
  const out = execFileSync('/bin/sh', ['-c', `printf '%s\\0' ${texts.map(shellWord).join(' ')}`]).toString()
  assert.deepEqual(out.split('\0').slice(0, -1), texts)
  assert.equal(shellWord('/srv/keys.json'), '/srv/keys.json')
})

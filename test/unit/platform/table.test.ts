import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatTable } from '../../../platform/table.ts'
import { escapeControls } from '../../../platform/escape-controls.ts'

test('no C0 or C1 control character and no character that changes the text direction reaches a terminal', () => {
  for (let code = 0; code <= 0xffff; code++) {
    if (code >= 0xd800 && code <= 0xdfff) continue
    const shown = escapeControls(String.fromCharCode(code))
    const isControl = code < 0x20 || (code >= 0x7f && code <= 0x9f)
    const isDirection = (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069)
    assert.equal(/^[\u0020-\u007e]+$/.test(shown) && shown.length > 1, isControl || isDirection, shown)
  }
  assert.equal(
    escapeControls('a\n\t\u001b[2J\u009b2J\u007f \\n Grüße 🚀'),
    'a\\n\\t\\u001b[2J\\u009b2J\\u007f \\n Grüße 🚀',
  )
})

test('escapes within JSON decode to the same text', () => {
  const text = 'a\u007f\u009b\u202e"\\\n'
  assert.equal(JSON.parse(escapeControls(JSON.stringify(text))), text)
})

test('cells are cut, aligned and escaped', () => {
  const table = formatTable(
    ['a', 'b'],
    [
      ['1', '\u009b\n'],
      ['long text', null],
    ],
    8,
  )
  assert.equal(
    table,
    ['a        | b', '---------+---------', '1        | \\u009b\\n', 'long te… |'].join('\n'),
  )
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { pointersAt, pointerSegment } from '../../../../event/json/pointer.ts'

type Json = null | boolean | number | string | Json[] | { [name: string]: Json }

/** The text of `value`, and the byte offset and pointer of each scalar in it, without using the code under test. */
function written(value: Json, at: number, pointer: string, found: [number, string][]): string {
  if (value === null || typeof value !== 'object') {
    found.push([at, pointer])
    return JSON.stringify(value)
  }
  const isArray = Array.isArray(value)
  let text = isArray ? '[' : '{ '
  for (const [key, item] of Object.entries(value)) {
    if (text.length > 2 || (isArray && text.length > 1)) text += ' ,\n'
    if (!isArray) text += `${JSON.stringify(key)}: `
    const below = `${pointer}/${key.split('~').join('~0').split('/').join('~1')}`
    text += written(item, at + Buffer.byteLength(text), below, found)
  }
  return text + (isArray ? ']' : '\t}')
}

test('pointersAt() names every value of a text', () => {
  const names = fc.oneof(fc.constantFrom('a', '', '/', '~', '~1', 'a/b~c', '"', '\\', 'é', '0'), fc.string())
  const value: fc.Arbitrary<Json> = fc.letrec<{ value: Json }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'medium' },
      fc.constantFrom<Json>(null, true, -1.5e-7, '', 'x]y', '{"a":', '\\"'),
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(names, tie('value'), { maxKeys: 4, noNullPrototype: true }),
    ),
  })).value
  fc.assert(
    fc.property(value, fc.nat({ max: 9 }), (json, start) => {
      const found: [number, string][] = []
      const buf = Buffer.from(' '.repeat(start) + written(json, start, '', found))
      const offsets = found.map(([offset]) => offset)
      const expected = found.map(([, pointer]) => pointer)
      assert.deepEqual(pointersAt(buf, start, buf.length, offsets, Number.POSITIVE_INFINITY), expected)
    }),
    { numRuns: 500 },
  )
})

test('pointersAt() names the member for an offset in its name, and the value for an offset in a string', () => {
  const text = '{"a":1,"b\\u0000/":["x\\u0000\\u0000"],"c":[[]]}'
  const offsets = [
    text.indexOf('\\u'),
    text.indexOf('x\\u') + 1,
    text.indexOf('x\\u') + 7,
    text.indexOf('[]'),
  ]
  const pointers = pointersAt(Buffer.from(text), 0, text.length, offsets, 1_000)
  assert.deepEqual(pointers, ['/b\u0000~1', '/b\u0000~1/0', '/b\u0000~1/0', '/c/0'])
})

test('pointersAt() stops when the budget is used up', () => {
  const text = `{"${'n'.repeat(100)}":[1,2,3,4,5]}`
  const offsets = [1, 2, 3, 4, 5].map((n) => text.indexOf(String(n)))
  assert.equal(pointersAt(Buffer.from(text), 0, text.length, offsets, 250).length, 3)
  assert.equal(pointersAt(Buffer.from(text), 0, text.length, offsets, 0).length, 1)
  const oneString = `{"${'n'.repeat(100)}":"12345"}`
  const inside = offsets.map((_, i) => oneString.indexOf('1') + i)
  assert.equal(pointersAt(Buffer.from(oneString), 0, oneString.length, inside, 250).length, 3)
})

test('pointerSegment() escapes ~ and / (RFC 6901 section 3)', () => {
  assert.equal(pointerSegment('~/a~1'), '/~0~1a~01')
  assert.equal(pointerSegment(3), '/3')
})

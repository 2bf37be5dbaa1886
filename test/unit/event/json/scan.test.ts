import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import {
  JsonScan,
  KIND_ARRAY,
  KIND_NULL,
  KIND_NUMBER,
  KIND_OBJECT,
  KIND_STRING,
} from '../../../../event/json/scan-result.ts'
import { MAX_DEPTH, MAX_FAULTS } from '../../../../event/limits.ts'
import { scanText, scanValue } from '../../../../event/json/scan.ts'
import { jsonText, nearly, objectText } from '../../../arbitrary/json-text.ts'

const scan = new JsonScan()

function scanned(text: string): boolean {
  const buf = Buffer.from(text)
  return scanText(buf, 0, buf.length, scan)
}

function parses(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

test('the scan accepts what JSON.parse accepts, even if jsonb does not', () => {
  fc.assert(
    fc.property(fc.oneof(jsonText, nearly(jsonText), fc.string()), (text) => {
      const valid = Buffer.from(text).toString() // lone surrogates become U+FFFD
      // JSON.parse does not skip a byte order mark.
      assert.equal(scanned(valid), parses(valid.replace(/^\ufeff/, '')), scan.errorReason)
    }),
    { numRuns: 2_000 },
  )
})

test('the scan treats every ASCII character in every position as JSON.parse does', () => {
  for (let code = 0; code < 128; code++) {
    const c = String.fromCharCode(code)
    for (const text of [
      c,
      `"${c}"`,
      `"\\${c}"`,
      `"\\u00${c}0"`,
      `[${c}1]`,
      `1${c}`,
      `-${c}`,
      `1.${c}`,
      `1e${c}1`,
      `{${c}}`,
    ]) {
      assert.equal(scanned(text), parses(text), JSON.stringify(text))
    }
  }
})

test('the scan reports where and why a text is not JSON', () => {
  const cases: [text: string, offset: number, reason: string][] = [
    ['', 0, 'the text ends too early'],
    [' ', 1, 'the text ends too early'],
    ['{', 1, 'the text ends too early'],
    ['{"a"', 4, 'the text ends too early'],
    ['{"a":', 5, 'the text ends too early'],
    ['{"a":1', 6, 'the text ends too early'],
    ['[1,', 3, 'the text ends too early'],
    ['{"a" 1}', 5, 'expected a colon'],
    ['{a:1}', 1, 'expected a name in double quotes'],
    ['{"a":1,}', 7, 'expected a name in double quotes'],
    ['{,}', 1, 'expected a name in double quotes'],
    ['{"a":1]', 6, 'expected , or }'],
    ['[1}', 2, 'expected , or ]'],
    ['[1 2]', 3, 'expected , or ]'],
    ['[1,]', 3, 'expected a JSON value'],
    ['1 2', 2, 'expected the end of the text'],
    ['01', 1, 'expected the end of the text'],
    ['-', 1, 'expected a digit'],
    ['1.', 2, 'expected a digit after the decimal point'],
    ['1e+', 3, 'expected a digit in the exponent'],
    ['nul', 3, 'expected null'],
    ['trUe', 2, 'expected true'],
    ['"a', 2, 'the text ends inside a string'],
    ['"\\', 2, 'the text ends inside a string'],
    ['"\n"', 1, 'a control character in a string must be escaped'],
    ['"\\x"', 2, 'this character cannot follow a backslash'],
    ['"\\u12"', 1, '\\u must be followed by four hexadecimal digits'],
    ['\ufeff', 3, 'the text ends too early'],
    ['\ufeff\ufeff{}', 3, 'expected a JSON value'],
    [' \ufeff{}', 1, 'expected a JSON value'],
  ]
  for (const [text, offset, reason] of cases) {
    assert.equal(scanned(text), false, text)
    assert.deepEqual([scan.error, scan.errorOffset, scan.errorReason], ['not_json', offset, reason], text)
  }
})

test('the scan distinguishes invalid UTF-8 from invalid JSON', () => {
  const buf = Buffer.from([0x22, 0xc3, 0xa9, 0xc3, 0x22])
  assert.equal(scanText(buf, 0, buf.length, scan), false)
  assert.deepEqual([scan.error, scan.errorOffset], ['not_utf8', 3])
  assert.equal(scanText(buf, 1, buf.length, scan), false)
  assert.equal(scan.errorOffset, 3)
})

test('the scan reports what jsonb cannot hold with kind and offset, and continues', () => {
  const text =
    '{"a\\u0000":"\\ud800 \\udc00\\ud83d\\ude00","b":[1e131072,0e-16384,1e131071],"\\udfff":"\\u0000"}'
  assert.equal(scanned(text), true)
  assert.deepEqual(scan.faults, [
    { kind: 'nul_escape', offset: text.indexOf('\\u0000') },
    { kind: 'lone_surrogate', offset: text.indexOf('\\ud800') },
    { kind: 'lone_surrogate', offset: text.indexOf('\\udc00') },
    { kind: 'number_out_of_range', offset: text.indexOf('1e131072') },
    { kind: 'number_out_of_range', offset: text.indexOf('0e-16384') },
    { kind: 'lone_surrogate', offset: text.indexOf('\\udfff') },
    { kind: 'nul_escape', offset: text.lastIndexOf('\\u0000') },
  ])
  assert.equal(scanned('"\\ud83d\\ud83d\\ude00"'), true)
  assert.deepEqual(
    scan.faults,
    [{ kind: 'lone_surrogate', offset: 1 }],
    'the second high surrogate has its low one',
  )
  assert.equal(scanned('{}'), true)
  assert.deepEqual(scan.faults, [], 'a new scan clears the faults')
})

test(`the scan lists at most ${MAX_FAULTS} faults per member, regardless of other members`, () => {
  const many = `[${'"\\u0000",'.repeat(MAX_FAULTS)}"\\u0000"]`
  assert.equal(scanned(many), true)
  assert.equal(scan.faults.length, MAX_FAULTS)
  assert.equal(scanned(`{"a":${many},"b":1e131072}`), true)
  assert.equal(scan.faults.length, MAX_FAULTS + 1)
  assert.equal(scan.faults.at(-1)?.kind, 'number_out_of_range')
})

test(`the scan allows ${MAX_DEPTH} levels; it reports the bracket that exceeds them, but nothing inside it`, () => {
  assert.equal(scanned('['.repeat(MAX_DEPTH) + ']'.repeat(MAX_DEPTH)), true)
  assert.deepEqual(scan.faults, [])
  const below = `${'['.repeat(MAX_DEPTH)}["\\u0000",[1e131072]],{}${']'.repeat(MAX_DEPTH)}`
  assert.equal(scanned(below), true)
  assert.deepEqual(scan.faults, [
    { kind: 'too_deep', offset: MAX_DEPTH },
    { kind: 'too_deep', offset: below.indexOf('{') },
  ])
})

test('ten megabytes of brackets do not overflow the stack', () => {
  const open = Buffer.alloc(10_000_000, '[')
  assert.equal(scanText(open, 0, open.length, scan), false)
  assert.equal(scan.errorOffset, open.length)
  const closed = Buffer.concat([open.subarray(0, 1_000_000), Buffer.alloc(1_000_000, ']')])
  assert.equal(scanText(closed, 0, closed.length, scan), true)
  const objects = Buffer.from(`${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`)
  assert.equal(scanText(objects, 0, objects.length, scan), true)
})

test('the slices of an object are its members in text order', () => {
  fc.assert(
    fc.property(objectText, (text) => {
      fc.pre(parses(text))
      const buf = Buffer.from(text)
      assert.ok(scanText(buf, 0, buf.length, scan))
      const rebuilt: [string, unknown][] = []
      for (let i = 0; i < scan.memberCount; i++) {
        const value: unknown = JSON.parse(buf.toString('utf8', scan.valueStart[i], scan.valueEnd[i]))
        if (scan.valueKind[i] === KIND_STRING) assert.equal(scan.string(buf, i), value)
        rebuilt.push([scan.name(buf, i), value])
      }
      assert.deepEqual(Object.fromEntries(rebuilt), JSON.parse(text))
    }),
    { numRuns: 500 },
  )
})

test('the scan sets the kinds, and keeps repeated names and many members', () => {
  assert.ok(scanned(' {"a":[{"x":1}] ,"b": {"y":[]},"a":null, "c":"\\n","d":-0 } '))
  const kinds = [0, 1, 2, 3, 4].map((i) => scan.valueKind[i]!)
  assert.deepEqual(kinds, [KIND_ARRAY, KIND_OBJECT, KIND_NULL, KIND_STRING, KIND_NUMBER])
  assert.equal(scan.memberCount, 5)
  assert.deepEqual([scan.valueIsEscaped[2], scan.valueIsEscaped[3], scan.nameIsEscaped[3]], [0, 1, 0])
  assert.deepEqual([scan.kind, scan.start, scan.end], [KIND_OBJECT, 1, 58])
  assert.ok(scanned(`{${Array.from({ length: 5_000 }, (_, i) => `"k${i}":${i}`).join(',')}}`))
  assert.equal(scan.memberCount, 5_000)
  assert.ok(scanned('[{"a":1}]'))
  assert.equal(scan.memberCount, 0, 'only members of the outermost value count')
})

test('the scan never reads outside its range', () => {
  fc.assert(
    fc.property(nearly(jsonText), fc.nat(), fc.nat(), (text, a, b) => {
      const buf = Buffer.from(text)
      const start = a % (buf.length + 1)
      const end = start + (b % (buf.length - start + 1))
      const copy = Buffer.from(buf.subarray(start, end))
      const within = [scanText(buf, start, end, scan), scan.error, scan.errorOffset, scan.memberCount]
      const alone = [scanText(copy, 0, copy.length, scan), scan.error, scan.errorOffset, scan.memberCount]
      if (alone[1] !== undefined) alone[2] = scan.errorOffset + start
      assert.deepEqual(within, alone)
    }),
    { numRuns: 2_000 },
  )
})

test('scanValue() stops after the value', () => {
  const buf = Buffer.from(' {"a":1} ,x')
  assert.ok(scanValue(buf, 0, buf.length, scan))
  assert.deepEqual([scan.start, scan.end], [1, 8])
})

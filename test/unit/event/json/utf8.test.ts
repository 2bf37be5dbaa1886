import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { invalidUtf8Offset } from '../../../../event/json/utf8.ts'
import { spoiledBytes } from '../../../arbitrary/bytes.ts'

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function decodes(bytes: Buffer): boolean {
  try {
    strict.decode(bytes)
    return true
  } catch {
    return false
  }
}

test('invalidUtf8Offset() is the length of the longest valid prefix, or -1 for valid UTF-8', () => {
  const bytes = fc.oneof(
    spoiledBytes(fc.string({ unit: 'binary' })),
    fc.uint8Array().map((array) => Buffer.from(array)),
  )
  fc.assert(
    fc.property(bytes, (buf) => {
      const offset = invalidUtf8Offset(buf)
      assert.equal(offset < 0, decodes(buf))
      if (offset < 0) return
      assert.ok(decodes(buf.subarray(0, offset)))
      for (let end = offset + 1; end <= buf.length; end++) assert.ok(!decodes(buf.subarray(0, end)))
    }),
    { numRuns: 2_000 },
  )
})

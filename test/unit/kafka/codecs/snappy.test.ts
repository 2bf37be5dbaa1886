import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { MalformedError, TooLargeError } from '../../../../kafka/codecs/text.ts'
import { decompressSnappy } from '../../../../kafka/codecs/snappy.ts'
import { pieces, snappyBlock, snappyFrame, textOf } from '../../../arbitrary/compressed.ts'

/* What real clients compress is read in test/compatibility/kafka-codecs.test.ts. */

const LIMIT = 1_000_000

test('a text is read from one block and from framed blocks', () => {
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 4 }), (blocks) => {
      for (const parts of blocks) assert.deepEqual(decompressSnappy(snappyBlock(parts), LIMIT), textOf(parts))
      const framed = snappyFrame(blocks.map((parts) => snappyBlock(parts)))
      assert.deepEqual(decompressSnappy(framed, LIMIT), Buffer.concat(blocks.map(textOf)))
    }),
  )
})

test('literals have lengths of 1 to 4 bytes', () => {
  for (const [lengthBytes, length] of [
    [1, 200],
    [2, 60_000],
    [3, 70_000],
    [4, 70_000],
  ] as const) {
    const tag = Buffer.alloc(1 + lengthBytes)
    tag[0] = (59 + lengthBytes) << 2
    tag.writeUIntLE(length - 1, 1, lengthBytes)
    const [preamble] = [snappyBlock([], length)]
    const text = Buffer.alloc(length, 'x')
    assert.deepEqual(decompressSnappy(Buffer.concat([preamble, tag, text]), LIMIT), text)
  }
})

test('I7: a text over the limit is refused before memory is allocated, also if only all blocks together exceed it', () => {
  const before = process.memoryUsage().arrayBuffers
  const huge = snappyBlock([{ literal: Buffer.from('a') }], 2 ** 32 - 1)
  assert.throws(() => decompressSnappy(huge, LIMIT), TooLargeError)
  const half = snappyBlock([{ literal: Buffer.alloc(400) }], 600_000)
  assert.throws(() => decompressSnappy(snappyFrame([half, half]), LIMIT), TooLargeError)
  assert.ok(process.memoryUsage().arrayBuffers - before < LIMIT)
})

test('a block is as long as it claims', () => {
  const parts = [{ literal: Buffer.from('abcd'), copy: { distance: 4, length: 20 } }]
  assert.throws(() => decompressSnappy(snappyBlock(parts, 25), LIMIT), MalformedError)
  assert.throws(() => decompressSnappy(snappyBlock(parts, 23), LIMIT), MalformedError)
})

test('what is cut off or changed is malformed or another text, and nothing else', () => {
  fc.assert(
    fc.property(pieces, fc.nat(), fc.nat({ max: 255 }), (parts, at, byte) => {
      const framed = snappyFrame([snappyBlock(parts)])
      assert.throws(
        () => decompressSnappy(framed.subarray(0, 17 + (at % (framed.length - 17))), LIMIT),
        MalformedError,
      )
      const changed = Buffer.from(framed)
      changed[at % changed.length] = byte
      try {
        decompressSnappy(changed, LIMIT)
      } catch (error) {
        assert.ok(error instanceof MalformedError || error instanceof TooLargeError, String(error))
      }
    }),
  )
})

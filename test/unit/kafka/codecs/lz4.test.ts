import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decompressLz4 } from '../../../../kafka/codecs/lz4.ts'
import { MalformedError, TooLargeError } from '../../../../kafka/codecs/text.ts'
import { lz4Block, lz4Frame, type Piece, pieces, textOf } from '../../../arbitrary/compressed.ts'

/* What real clients compress is read in test/compatibility/kafka-codecs.test.ts. */

const LIMIT = 1_000_000

test('a text is read from compressed and stored blocks, also if a copy begins in an earlier block', () => {
  fc.assert(
    fc.property(fc.array(fc.record({ parts: pieces, stored: fc.boolean() }), { maxLength: 4 }), (blocks) => {
      const frame = lz4Frame(
        blocks.map(({ parts, stored }) => ({ bytes: stored ? textOf(parts) : lz4Block(parts), stored })),
      )
      assert.deepEqual(decompressLz4(frame, LIMIT), Buffer.concat(blocks.map(({ parts }) => textOf(parts))))
    }),
  )
  const linked = lz4Frame([
    { bytes: Buffer.from('abcdef'), stored: true },
    {
      bytes: lz4Block([
        { literal: Buffer.alloc(0), copy: { distance: 6, length: 9 } },
        { literal: Buffer.from('!') },
      ]),
    },
  ])
  assert.equal(decompressLz4(linked, LIMIT).toString(), 'abcdefabcdefabc!')
})

test('lengths of any size are read', () => {
  for (const length of [4, 18, 19, 20, 273, 274, 275, 100_000]) {
    const parts: Piece[] = [
      { literal: Buffer.alloc(length, 'ab'), copy: { distance: 2, length } },
      { literal: Buffer.from('end') },
    ]
    assert.deepEqual(decompressLz4(lz4Frame([{ bytes: lz4Block(parts) }]), LIMIT), textOf(parts))
  }
})

test('a length of the text and checksums of the blocks are passed over', () => {
  const text = Buffer.from('text')
  const [header, size] = [
    lz4Frame([]).subarray(0, 7),
    lz4Frame([{ bytes: text, stored: true }]).subarray(7, 11),
  ]
  const flags = Buffer.from([0b0101_1000])
  const frame = Buffer.concat([
    header.subarray(0, 4),
    flags,
    header.subarray(5, 6),
    Buffer.alloc(8, 0xff), // more than memory has
    header.subarray(6),
    size,
    text,
    Buffer.from('sums'),
    Buffer.alloc(4),
  ])
  assert.deepEqual(decompressLz4(frame, LIMIT), text)
})

test('I7: a text over the limit is refused before memory is allocated', () => {
  const bomb = [{ literal: Buffer.from('a'), copy: { distance: 1, length: 2 ** 24 } }]
  const frame = lz4Frame([{ bytes: lz4Block(bomb) }])
  const before = process.memoryUsage().arrayBuffers
  assert.throws(() => decompressLz4(frame, LIMIT), TooLargeError)
  assert.ok(process.memoryUsage().arrayBuffers - before < 2 * LIMIT)
})

test('a frame of another version, with a dictionary, or without its magic number is malformed', () => {
  const frame = lz4Frame([])
  for (const [at, byte] of [
    [4, 0b1010_0000],
    [4, 0b0110_0001],
    [0, 0],
  ] as const) {
    const other = Buffer.from(frame)
    other[at] = byte
    assert.throws(() => decompressLz4(other, LIMIT), MalformedError)
  }
})

test('what is cut off or changed is malformed or another text, and nothing else', () => {
  fc.assert(
    fc.property(pieces, fc.nat(), fc.nat({ max: 255 }), (parts, at, byte) => {
      const frame = lz4Frame([{ bytes: lz4Block(parts) }])
      assert.throws(() => decompressLz4(frame.subarray(0, at % frame.length), LIMIT), MalformedError)
      const changed = Buffer.from(frame)
      changed[at % changed.length] = byte
      try {
        decompressLz4(changed, LIMIT)
      } catch (error) {
        assert.ok(error instanceof MalformedError || error instanceof TooLargeError, String(error))
      }
    }),
  )
})

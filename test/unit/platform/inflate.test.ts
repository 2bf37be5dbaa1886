import assert from 'node:assert/strict'
import { test } from 'node:test'
import { zstdCompressSync } from 'node:zlib'
import { unzstd } from '../../../platform/inflate.ts'

const LIMIT = 1_000
const frame = (text: string): Buffer => zstdCompressSync(text)
/** A frame that decoders must skip (RFC 8878 section 3.1.2). */
const SKIPPABLE = Buffer.from('502a4d1803000000616263', 'hex')
const read = async (...parts: Buffer[]): Promise<string> =>
  (await unzstd(Buffer.concat(parts), LIMIT, 23)).toString()

test('all frames are read, also empty ones and those to skip', async () => {
  assert.equal(await read(frame('a')), 'a')
  assert.equal(await read(frame('a'), frame('b'), frame('c')), 'abc')
  assert.equal(await read(SKIPPABLE, frame('a'), frame(''), SKIPPABLE, frame('b')), 'ab')
})

test('the limit is for all frames together', async () => {
  const half = 'x'.repeat(LIMIT / 2)
  assert.equal((await read(frame(half), frame(half), frame(''))).length, LIMIT)
  await assert.rejects(read(frame(half), frame(half), frame('x')), { code: 'ERR_BUFFER_TOO_LARGE' })
  await assert.rejects(read(frame('x'.repeat(LIMIT + 1))), { code: 'ERR_BUFFER_TOO_LARGE' })
})

test('what is no frame, is cut off, or has very many frames is refused', async () => {
  await assert.rejects(read(Buffer.alloc(0)))
  await assert.rejects(read(frame('a'), Buffer.from('b')))
  await assert.rejects(read(frame('a'), frame('b').subarray(0, -1)))
  await assert.rejects(read(...Array<Buffer>(65).fill(frame(''))), /more than 64 frames/)
})

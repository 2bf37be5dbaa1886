import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import * as zlib from 'node:zlib'
import { decompress, isCoding } from '../../../../producer-api/http/decompress.ts'
import { MemoryBudget } from '../../../../producer-api/memory-budget.ts'

const LIMIT = 100_000
const CODINGS: [name: string, compress: (data: Buffer) => Buffer][] = [
  ['gzip', zlib.gzipSync],
  ['x-gzip', zlib.gzipSync],
  ['deflate', zlib.deflateSync],
  ['deflate', zlib.deflateRawSync],
  ['br', zlib.brotliCompressSync],
  ['zstd', zlib.zstdCompressSync],
]

for (const [name, compress] of CODINGS) {
  test(`${name} by ${compress.name}: up to the limit, and nothing above it; all memory is given back`, async () => {
    assert.ok(isCoding(name))
    const budget = new MemoryBudget(64 * 1024 * 1024)
    const read = async (body: Buffer) => await decompress(body, name, LIMIT, budget)
    for (const data of [Buffer.from('{}'), Buffer.alloc(LIMIT), randomBytes(LIMIT)]) {
      assert.deepEqual(await read(compress(data)), { kind: 'body', body: data })
    }
    for (const bytes of [LIMIT + 1, 50_000_000]) {
      assert.deepEqual(await read(compress(Buffer.alloc(bytes))), { kind: 'too-large' })
    }
    const whole = compress(randomBytes(1_000))
    for (const body of [
      whole.subarray(0, -9),
      whole.subarray(0, 3),
      Buffer.alloc(0),
      Buffer.from('{"a":1}'),
    ]) {
      assert.deepEqual(await read(body), { kind: 'invalid' })
    }
    assert.equal(budget.usedBytes, 0)
  })
}

test('names of nothing, and names that every object has, are no codings', () => {
  for (const name of ['', 'compress', 'gzip, gzip', 'constructor', '__proto__'])
    assert.ok(!isCoding(name), name)
})

test('zstd with a window above 8 MiB is refused before it takes memory (RFC 9659)', async () => {
  const data = Buffer.alloc(LIMIT)
  const params = { [zlib.constants.ZSTD_c_windowLog]: 27, [zlib.constants.ZSTD_c_contentSizeFlag]: 0 }
  const compressor = zlib.createZstdCompress({ params })
  const chunks = compressor.toArray()
  compressor.write(data)
  compressor.end()
  const body = Buffer.concat((await chunks) as Buffer[])
  const budget = new MemoryBudget(64 * 1024 * 1024)
  assert.deepEqual(await decompress(body, 'zstd', LIMIT, budget), { kind: 'invalid' })
})

test('bytes after the end of compressed data are refused, because Node would ignore them', async () => {
  const budget = new MemoryBudget(64 * 1024 * 1024)
  for (const [name, compress] of CODINGS) {
    const body = Buffer.concat([compress(Buffer.from('[1]')), Buffer.from('[2]')])
    assert.deepEqual(await decompress(body, name, LIMIT, budget), { kind: 'invalid' }, name)
  }
})

test('with a small budget, too, every coding is read', async () => {
  const budget = new MemoryBudget(1024 * 1024)
  for (const [name, compress] of CODINGS) {
    const read = await decompress(compress(Buffer.from('{}')), name, LIMIT, budget)
    assert.deepEqual(read, { kind: 'body', body: Buffer.from('{}') }, name)
  }
  assert.equal(budget.usedBytes, 0)
})

test('many bodies at once wait for their turn, and only the running ones take memory to decompress', async () => {
  const budget = new MemoryBudget(32 * 1024 * 1024)
  const data = randomBytes(10_000)
  const body = Buffer.from(zlib.brotliCompressSync(data))
  let peakBytes = 0
  const results = Array.from({ length: 200 }, async () => {
    const result = await decompress(body, 'br', LIMIT, budget)
    peakBytes = Math.max(peakBytes, budget.usedBytes)
    return result.kind
  })
  assert.deepEqual(new Set(await Promise.all(results)), new Set(['body']))
  assert.ok(peakBytes < 4 * 5 * 1024 * 1024 + 200 * body.buffer.byteLength)
  assert.equal(budget.usedBytes, 0)
})

test('without room in the budget, nothing is decompressed', async () => {
  const body = zlib.gzipSync('{}')
  assert.deepEqual(await decompress(body, 'gzip', LIMIT, new MemoryBudget(10)), { kind: 'no-memory' })
  const forBody = new MemoryBudget(body.buffer.byteLength + 10)
  assert.deepEqual(await decompress(body, 'gzip', LIMIT, forBody), { kind: 'no-memory' })
  assert.equal(forBody.usedBytes, 0)
})

/*
 * Compression codecs for batches of other producers. kafkajs has only gzip, without a limit for the decompressed size.
 */
import { promisify } from 'node:util'
import { gunzip, gzip, zstdCompress, zstdDecompress } from 'node:zlib'
import kafkajs from 'kafkajs'
import { UnreadableBatchError } from './errors.ts'

/** Limit for a decompressed batch; a larger one is refused before memory is allocated for it (I7). */
const MAX_INFLATED_BYTES = 64 * 1024 * 1024

type Inflate = (buffer: Buffer, options: { maxOutputLength: number }) => Promise<Buffer>

/** @throws {UnreadableBatchError} */
async function inflateWith(inflate: Inflate, buffer: Buffer): Promise<Buffer> {
  try {
    return await inflate(buffer, { maxOutputLength: MAX_INFLATED_BYTES })
  } catch (error) {
    const isTooLarge = (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE'
    const problem = isTooLarge
      ? `decompresses to more than ${MAX_INFLATED_BYTES} bytes`
      : `cannot be decompressed (${(error as Error).message})`
    throw new UnreadableBatchError(problem)
  }
}

const { CompressionCodecs, CompressionTypes } = kafkajs

CompressionCodecs[CompressionTypes.GZIP] = () => ({
  compress: async ({ buffer }: { buffer: Buffer }) => await promisify(gzip)(buffer),
  decompress: async (buffer: Buffer) => await inflateWith(promisify(gunzip), buffer),
})
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async ({ buffer }: { buffer: Buffer }) => await promisify(zstdCompress)(buffer),
  decompress: async (buffer: Buffer) => await inflateWith(promisify(zstdDecompress), buffer),
})
for (const name of ['Snappy', 'LZ4'] as const) {
  CompressionCodecs[CompressionTypes[name]] = () => {
    throw new UnreadableBatchError(`is compressed with ${name}, which Firehose does not support`)
  }
}

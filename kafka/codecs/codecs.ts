/**
 * Kafka's compression codecs, for batches of other producers and of topics that recompress. kafkajs has only gzip, and no
 * limit for the decompressed size. Import this file wherever records are read.
 */
import { promisify } from 'node:util'
import { gunzip, gzip, zstdCompress } from 'node:zlib'
import kafkajs from 'kafkajs'
import { unzstd } from '../../platform/inflate.ts'
import { UnreadableBatchError } from '../errors.ts'
import { decompressLz4 } from './lz4.ts'
import { decompressSnappy } from './snappy.ts'
import { TooLargeError } from './text.ts'

/** Limit for a decompressed batch; a larger one is refused before memory is allocated for it (I7). */
const MAX_INFLATED_BYTES = 64 * 1024 * 1024
/** The largest window that zstd reads by default: 128 MiB, of which only the part that is written takes memory. */
const ZSTD_WINDOW_LOG = 27

/** @throws {UnreadableBatchError} for whatever `inflate` throws */
async function inflateWith(inflate: () => Buffer | Promise<Buffer>): Promise<Buffer> {
  try {
    return await inflate()
  } catch (error) {
    const isTooLarge =
      error instanceof TooLargeError || (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE'
    throw new UnreadableBatchError(
      isTooLarge
        ? `decompresses to more than ${MAX_INFLATED_BYTES} bytes`
        : `cannot be decompressed (${(error as Error).message})`,
    )
  }
}

const { CompressionCodecs, CompressionTypes } = kafkajs
const LIMIT = { maxOutputLength: MAX_INFLATED_BYTES }

CompressionCodecs[CompressionTypes.GZIP] = () => ({
  compress: async ({ buffer }: { buffer: Buffer }) => await promisify(gzip)(buffer),
  decompress: async (bytes: Buffer) => await inflateWith(async () => await promisify(gunzip)(bytes, LIMIT)),
})
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async ({ buffer }: { buffer: Buffer }) => await promisify(zstdCompress)(buffer),
  decompress: async (bytes: Buffer) =>
    await inflateWith(async () => await unzstd(bytes, MAX_INFLATED_BYTES, ZSTD_WINDOW_LOG)),
})
CompressionCodecs[CompressionTypes.Snappy] = () => ({
  decompress: async (bytes: Buffer) => await inflateWith(() => decompressSnappy(bytes, MAX_INFLATED_BYTES)),
})
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  decompress: async (bytes: Buffer) => await inflateWith(() => decompressLz4(bytes, MAX_INFLATED_BYTES)),
})

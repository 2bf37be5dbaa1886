/* What other producers may have compressed their batches with; kafkajs knows gzip alone by itself, without a bound. */
import { promisify } from 'node:util'
import { gunzip, gzip, zstdCompress, zstdDecompress } from 'node:zlib'
import kafkajs from 'kafkajs'

/** Of one compressed batch: what inflates to more is refused before it takes the memory (I7). */
const MAX_INFLATED_BYTES = 64 * 1024 * 1024

/** A batch that cannot be read, and so nothing behind it: a person has to see to it. */
class UnreadableBatchError extends Error {
  readonly needsPerson = true
  constructor(problem: string) {
    super(
      `a batch of another producer ${problem}: let it use zstd, gzip or no compression, and see "When something breaks" in ARCHITECTURE.md`,
    )
    this.name = 'KafkaJSNotImplemented' // errors of this name alone kafkajs hands on at once
  }
}

type Inflate = (buffer: Buffer, options: { maxOutputLength: number }) => Promise<Buffer>

/** @throws {UnreadableBatchError} */
async function inflateWith(inflate: Inflate, buffer: Buffer): Promise<Buffer> {
  try {
    return await inflate(buffer, { maxOutputLength: MAX_INFLATED_BYTES })
  } catch (error) {
    const isTooLarge = (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE'
    const problem = isTooLarge
      ? `inflates to more than ${MAX_INFLATED_BYTES} bytes`
      : `cannot be inflated (${(error as Error).message})`
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
    throw new UnreadableBatchError(`is compressed with ${name}, which Firehose does not read`)
  }
}

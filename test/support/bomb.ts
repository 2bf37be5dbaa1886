import kafkajs from 'kafkajs'
import { lz4Block, lz4Frame } from '../arbitrary/compressed.ts'
import { withProducer } from './records.ts'

const MIB = 1024 * 1024
const LZ4_BLOCK_BYTES = 4 * MIB

/** Sends a batch to partition 0 that is small, but decompresses to this many MiB. */
export async function sendBomb(
  bootstrapServers: string,
  topic: string,
  mebibytes: number,
  codec: 'GZIP' | 'LZ4',
): Promise<void> {
  const { CompressionCodecs, CompressionTypes } = kafkajs
  const { LZ4 } = CompressionTypes
  // kafkajs has no LZ4, and ours only decompresses.
  const ours = CompressionCodecs[LZ4]
  CompressionCodecs[LZ4] = () => ({ ...(ours() as object), compress: lz4OfRuns })
  try {
    await withProducer(bootstrapServers, async (_send, producer) => {
      const messages = [{ value: Buffer.alloc(mebibytes * MIB), partition: 0 }]
      await producer.send({ topic, messages, compression: CompressionTypes[codec] })
    })
  } finally {
    CompressionCodecs[LZ4] = ours
  }
}

/** Compresses a text that repeats one byte, apart from its beginning and its end. */
async function lz4OfRuns({ buffer: text }: { buffer: Buffer }): Promise<Buffer> {
  const blocks: Parameters<typeof lz4Frame>[0][number][] = []
  for (let start = 0; start < text.length; start += LZ4_BLOCK_BYTES) {
    const block = text.subarray(start, start + LZ4_BLOCK_BYTES)
    if (block.length < 256) blocks.push({ bytes: block, stored: true })
    else {
      const [literal, end] = [block.subarray(0, 64), block.subarray(-64)]
      const copy = { distance: 1, length: block.length - literal.length - end.length }
      blocks.push({ bytes: lz4Block([{ literal, copy }, { literal: end }]) })
    }
  }
  return lz4Frame(blocks)
}

import { Framer } from '../../tools/drill/framer.ts'
import { type Side, TcpProxy } from '../../tools/drill/tcp-proxy.ts'

const SIZE_BYTES = 4

/**
 * A proxy in front of a broker that changes requests (`client`) and responses (`server`), for clusters that behave in
 * another way than the one at hand. The broker must advertise the proxy's port.
 *
 * @param change returns the message as it is to be passed on, without its size
 */
export async function startRewriter(
  kafkaPort: number,
  change: (from: Side, message: Buffer) => Buffer,
): Promise<TcpProxy> {
  return await TcpProxy.start({ host: '127.0.0.1', port: kafkaPort }, () => {
    const framers = { client: new Framer(endOf), server: new Framer(endOf) }
    return {
      see: (from, chunk) =>
        framers[from].push(chunk).map((bytes) => {
          const message = change(from, bytes.subarray(SIZE_BYTES))
          const size = Buffer.alloc(SIZE_BYTES)
          size.writeInt32BE(message.length)
          return { bytes: Buffer.concat([size, message]), sightings: [] }
        }),
    }
  })
}

function endOf(bytes: Buffer): number | undefined {
  return bytes.length < SIZE_BYTES ? undefined : SIZE_BYTES + bytes.readInt32BE(0)
}

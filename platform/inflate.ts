/** Decompresses data of which Node's own functions would silently ignore what follows the first end. */
import { constants, type Zlib, zstdDecompress } from 'node:zlib'

/** A function of zlib, with `info`. */
type Inflate<Options> = (
  data: Buffer,
  options: Options & { maxOutputLength: number; info: true },
  done: (error: Error | null, result: Buffer) => void,
) => void

/** More than any real encoder writes; each costs a round through the thread pool. */
const MAX_FRAMES = 64

/**
 * Decompresses all frames of zstd data (RFC 8878 section 3). Node's own function stops after the first one, without an
 * error.
 *
 * @param windowLog base-2 logarithm of the largest window, in bytes
 * @throws zlib's errors: ERR_BUFFER_TOO_LARGE above `limitBytes`, before more memory is taken
 */
export async function unzstd(data: Buffer, limitBytes: number, windowLog: number): Promise<Buffer> {
  const frames: Buffer[] = []
  let bytes = 0
  for (let at = 0; at < data.length || frames.length === 0; ) {
    if (frames.length === MAX_FRAMES) throw new Error(`there are more than ${MAX_FRAMES} frames`)
    const frame = await inflateFirst(zstdDecompress, data.subarray(at), {
      // At least one byte, because 0 is no limit; what an empty frame at the end adds is checked below.
      maxOutputLength: Math.max(1, limitBytes - bytes),
      params: { [constants.ZSTD_d_windowLogMax]: windowLog },
    })
    frames.push(frame.text)
    bytes += frame.text.length
    at += frame.readBytes
    if (bytes > limitBytes) throw Object.assign(new Error('too large'), { code: 'ERR_BUFFER_TOO_LARGE' })
  }
  return frames.length === 1 ? frames[0]! : Buffer.concat(frames)
}

/**
 * Decompresses data up to their first end, and says where in `data` that is.
 *
 * @throws zlib's errors: ERR_BUFFER_TOO_LARGE above maxOutputLength
 */
export function inflateFirst<Options extends { maxOutputLength: number }>(
  inflate: Inflate<Options>,
  data: Buffer,
  options: Options,
): Promise<{ text: Buffer; readBytes: number }> {
  return new Promise((resolve, reject) => {
    inflate(data, { ...options, info: true }, (error, result) => {
      if (error !== null) {
        reject(error)
        return
      }
      // With `info`, which the types do not know.
      const { buffer, engine } = result as unknown as { buffer: Buffer; engine: Zlib }
      resolve({ text: buffer, readBytes: engine.bytesWritten })
    })
  })
}

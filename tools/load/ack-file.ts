import { createReadStream, createWriteStream, type WriteStream } from 'node:fs'
import { once } from 'node:events'
import { addAbortSignal } from 'node:stream'

const FLUSH_CHARS = 1024 * 1024

/**
 * Writes a file of acknowledged events, one per line: `event_id<TAB>the JSON text that was sent`.
 * Lines are collected in memory and written in the background, so that adding one never waits.
 */
export class AckFile {
  readonly #stream: WriteStream
  #lines: string[] = []
  #chars = 0
  #error: Error | undefined

  private constructor(stream: WriteStream) {
    this.#stream = stream
    stream.on('error', (error) => (this.#error = error))
  }

  /** Creates or truncates the file. @throws the file system's error */
  static async create(path: string): Promise<AckFile> {
    const stream = createWriteStream(path)
    await once(stream, 'open')
    return new AckFile(stream)
  }

  /** Adds one acknowledged event. `body` must not contain a line break. */
  add(eventId: string, body: string): void {
    this.#lines.push(eventId, '\t', body, '\n')
    this.#chars += body.length
    if (this.#chars >= FLUSH_CHARS) this.#flush()
  }

  /** Resolves when the file system keeps up. For writers that can wait; others need not call it. @throws its error */
  async drained(): Promise<void> {
    if (this.#stream.writableNeedDrain) await once(this.#stream, 'drain')
  }

  /** Writes what is left and closes the file. @throws the first error of any write */
  async close(): Promise<void> {
    this.#flush()
    if (this.#error === undefined) {
      this.#stream.end()
      await once(this.#stream, 'close')
    }
    if (this.#error !== undefined) throw this.#error
  }

  #flush(): void {
    if (this.#lines.length > 0) this.#stream.write(this.#lines.join(''))
    this.#lines = []
    this.#chars = 0
  }
}

/** A line of an ack file. */
export interface AckedLine {
  /** Line number, from 1. */
  number: number
  eventId: string
  /** The JSON text as it was sent. */
  body: Buffer
}

/** Stands for standard input in place of a path. */
const STDIN = '-'

/**
 * Reads an ack file, or standard input for `-`, up to a few thousand lines at a time. Lines end at LF only, because a
 * body may contain U+2028 or U+2029. A last line without LF is skipped: the writer was killed while writing it.
 *
 * @throws on a malformed line; the file system's error; an AbortError
 */
export async function* readAckFile(path: string, signal?: AbortSignal): AsyncGenerator<AckedLine[]> {
  let rest: Buffer = Buffer.alloc(0)
  let lineNumber = 0
  const stream = path === STDIN ? process.stdin : createReadStream(path, { highWaterMark: FLUSH_CHARS })
  if (signal !== undefined) addAbortSignal(signal, stream)
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    const lines: AckedLine[] = []
    let start = 0
    for (let end = bytes.indexOf(10); end !== -1; end = bytes.indexOf(10, start)) {
      lineNumber += 1
      const eventId = bytes.toString('latin1', start, start + 36)
      if (bytes[start + 36] !== 9 || !/^[0-9a-f-]{36}$/i.test(eventId)) {
        throw new Error(
          `${path === STDIN ? 'standard input' : path}: line ${lineNumber} is not event_id<TAB>body`,
        )
      }
      lines.push({ number: lineNumber, eventId, body: bytes.subarray(start + 37, end) })
      start = end + 1
    }
    rest = bytes.subarray(start)
    if (lines.length > 0) yield lines
  }
}

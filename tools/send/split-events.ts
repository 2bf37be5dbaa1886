import { isJson } from './event-text.ts'

const LF = 10
/** Well above the largest event: a longer text is refused, whatever it is. */
const MAX_EVENT_LINES_BYTES = 1024 * 1024

/**
 * The events of a stream, one per line; blank lines are skipped. If the first line is not JSON by itself, the whole text is
 * one event over several lines. Lines end at LF only, because a JSON string may contain U+2028.
 */
export async function* splitEvents(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let isFirst = true
  let whole: Buffer[] | undefined
  let wholeBytes = 0
  for await (const line of linesOf(chunks)) {
    if (whole === undefined && isBlank(line)) continue
    if (isFirst && !isJson(line)) whole = []
    isFirst = false
    if (whole === undefined) {
      yield line
      continue
    }
    whole.push(line, Buffer.of(LF))
    wholeBytes += line.length
    if (wholeBytes > MAX_EVENT_LINES_BYTES) break
  }
  if (whole !== undefined) yield Buffer.concat(whole)
}

/** The lines of a stream, without their ends; reads no further than a line of more than MAX_EVENT_LINES_BYTES. */
async function* linesOf(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let parts: Buffer[] = []
  let bytes = 0
  for await (const chunk of chunks) {
    let start = 0
    for (let end = chunk.indexOf(LF); end !== -1; end = chunk.indexOf(LF, start)) {
      yield Buffer.concat([...parts, chunk.subarray(start, end)])
      parts = []
      bytes = 0
      start = end + 1
    }
    parts.push(chunk.subarray(start))
    bytes += chunk.length - start
    if (bytes > MAX_EVENT_LINES_BYTES) break
  }
  yield Buffer.concat(parts)
}

function isBlank(line: Buffer): boolean {
  return line.every((byte) => byte === 0x20 || byte === 0x09 || byte === 0x0d)
}

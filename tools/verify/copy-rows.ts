import { once } from 'node:events'
import type { Client } from 'pg'
import { from as copyFrom } from 'pg-copy-streams'

/** Rows are written in chunks, because a `write` per row would cost more than the row itself. */
const COPY_CHARS = 64 * 1024

/**
 * Copies items into a table.
 * @param line formats an item's columns in COPY's text format, without the newline
 * @throws PostgreSQL's error
 */
export async function copyRows<T>(
  client: Client,
  table: string,
  items: readonly T[],
  line: (item: T) => string,
): Promise<void> {
  const stream = client.query(copyFrom(`COPY ${table} FROM STDIN`))
  const finished = once(stream, 'finish')
  let text = ''
  for (const item of items) {
    text += `${line(item)}\n`
    if (text.length < COPY_CHARS) continue
    if (!stream.write(text)) await Promise.race([once(stream, 'drain'), finished])
    text = ''
  }
  stream.end(text)
  await finished
}

/** A bytea in COPY's text format, as hex, which needs no escaping. */
export function copyBytes(value: Buffer | null): string {
  return value === null ? '\\N' : `\\\\x${value.toString('hex')}`
}

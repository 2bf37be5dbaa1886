import {
  type ColumnName,
  columnsFor,
  type EventRow,
  type Field,
  type RowTexts,
  TEXT_NAMES,
} from '../../event/fields.ts'
import type { Int8 } from '../../event/kinds.ts'
import { InvariantError, ownCode } from '../../platform/errors.ts'
import { CHUNK_BYTES } from '../../postgres/database.ts'

/*
 * The binary format of COPY (https://www.postgresql.org/docs/18/sql-copy.html, "Binary Format"): a signature, flags
 * and header extension; then for each tuple a 16-bit field count and for each field a 32-bit length and its bytes;
 * then a 16-bit -1. Each field has the binary format of its type's send and receive functions, big-endian: uuid 16
 * bytes; int8 8 bytes; timestamptz int8 microseconds since 2000-01-01; text its bytes; inet as event/inet.ts has it; jsonb
 * a version byte 1 and the JSON text. NULL is the length -1.
 */
const SIGNATURE = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1')
const TRAILER = Buffer.from([0xff, 0xff])
const JSONB_VERSION = 1

/** The value of a hexadecimal digit, by character code. */
const NIBBLE = new Uint8Array(128)
for (let digit = 0; digit < 16; digit++) NIBBLE[digit.toString(16).charCodeAt(0)] = digit

const ORDINAL_FIELD_BYTES = 8
const TWO_TO_32 = 2 ** 32

/** Which columns rows have: all of EVENT_COLUMNS, those and an ordinal, or USUAL_COLUMNS. */
export type CopyForm = 'all' | 'staged' | 'usual'

/**
 * Encodes rows in the binary format of COPY, in chunks of about CHUNK_BYTES (a row larger than that gets a chunk of its
 * own). Lazy: a chunk is encoded when the socket can take it.
 *
 * @param form for the staging table, each row is prefixed with its index as an int4; `usual` leaves out the optional columns
 */
export function* encodeCopy(rows: readonly EventRow[], form: CopyForm = 'all'): Generator<Buffer> {
  let chunk = ownCode(() => chunkFrom(rows, 0, { form, isFirst: true }))
  yield chunk.bytes
  while (chunk.next < rows.length) {
    const { next } = chunk
    chunk = ownCode(() => chunkFrom(rows, next, { form, isFirst: false }))
    yield chunk.bytes
  }
  yield TRAILER
}

/** Encodes the rows from `start` on that fit into one chunk; the first chunk begins with the signature. */
function chunkFrom(
  rows: readonly EventRow[],
  start: number,
  { form, isFirst }: { form: CopyForm; isFirst: boolean },
): { bytes: Buffer; next: number } {
  const extra = form === 'staged' ? ORDINAL_FIELD_BYTES : 0
  const chunk = new Chunk(isFirst ? CHUNK_BYTES : Math.max(CHUNK_BYTES, rowBytes(rows[start]!) + extra))
  if (isFirst) chunk.pos = SIGNATURE.copy(chunk.bytes)
  let next = start
  for (; next < rows.length; next += 1) {
    const row = rows[next]!
    if (chunk.pos + rowBytes(row) + extra > chunk.bytes.length) break
    if (form === 'staged') writeRow(chunk, row, WRITERS, next)
    else writeRow(chunk, row, form === 'usual' ? USUAL_WRITERS : WRITERS)
  }
  return { bytes: chunk.bytes.subarray(0, chunk.pos), next }
}

/** A chunk that is being written. A DataView takes a third of the time of Buffer's methods. */
class Chunk {
  readonly bytes: Buffer
  readonly #view: DataView
  pos = 0

  constructor(size: number) {
    this.bytes = Buffer.allocUnsafeSlow(size)
    this.#view = new DataView(this.bytes.buffer)
  }

  int16(value: number): void {
    this.#view.setInt16(this.pos, value)
    this.pos += 2
  }

  int32(value: number): void {
    this.#view.setInt32(this.pos, value)
    this.pos += 4
  }

  int8(value: Int8): void {
    this.int32(8)
    if (typeof value === 'bigint') this.#view.setBigInt64(this.pos, value)
    else {
      if (!Number.isSafeInteger(value)) throw new InvariantError(`${value} is not an exact int8`)
      const high = Math.floor(value / TWO_TO_32)
      this.#view.setInt32(this.pos, high)
      this.#view.setUint32(this.pos + 4, value - high * TWO_TO_32)
    }
    this.pos += 8
  }

  /** Calling `buffer.write(..., 'hex')` for each of the five groups would take five times as long. */
  uuid(text: string): void {
    this.int32(16)
    let at = 0
    const end = this.pos + 16
    for (let pos = this.pos; pos < end; pos++) {
      if (text.charCodeAt(at) === 0x2d) at++
      this.bytes[pos] = (NIBBLE[text.charCodeAt(at)]! << 4) | NIBBLE[text.charCodeAt(at + 1)]!
      at += 2
    }
    this.pos = end
  }

  jsonb(text: Buffer): void {
    this.int32(text.length + 1)
    this.bytes[this.pos] = JSONB_VERSION
    this.bytes.set(text, this.pos + 1)
    this.pos += text.length + 1
  }

  /** The text at place `k`; NULL if the row lacks it. */
  text(texts: RowTexts | undefined, k: number): void {
    if (texts === undefined) {
      this.int32(NULL)
      return
    }
    const { bytes: from, starts, ends } = texts
    const start = starts[k]!
    const length = ends[k]! - start
    this.int32(length === 0 ? NULL : length)
    // Most texts are short: that takes less time than a view of them.
    for (let i = 0; i < length; i++) this.bytes[this.pos + i] = from[start + i]!
    this.pos += length
  }

  /** A value of text or inet. */
  value(bytes: Buffer | undefined): void {
    if (bytes === undefined) {
      this.int32(NULL)
      return
    }
    this.int32(bytes.length)
    this.bytes.set(bytes, this.pos)
    this.pos += bytes.length
  }

  userId(value: EventRow['userId']): void {
    if (typeof value === 'number' || typeof value === 'bigint') this.int8(value)
    else this.value(value)
  }
}

/** Each value is preceded by its length. */
const LENGTH_BYTES = 4
const NULL = -1
/** Bytes of a value; of a type of variable length only what is added to EventRow.variableBytes. */
const VALUE_BYTES: Record<Field['kind']['type'], number> = {
  uuid: 16,
  bigint: 8,
  text: 0,
  inet: 0,
  'timestamp with time zone': 8,
  jsonb: 1,
}
const COLUMNS = columnsFor('bigint')
const COUNT_BYTES = 2
const FIXED_ROW_BYTES =
  COUNT_BYTES +
  COLUMNS.reduce((sum, { kind }) => sum + LENGTH_BYTES + VALUE_BYTES[kind.type], 0) +
  LENGTH_BYTES +
  VALUE_BYTES.bigint // sent_check

/** At least the size of a row without its ordinal. */
function rowBytes({ variableBytes }: EventRow): number {
  return FIXED_ROW_BYTES + variableBytes
}

/** Writes the length and the value of a column. The row's texts are passed on, because reading them takes a while. */
type Writer = (chunk: Chunk, row: EventRow, texts: EventRow['texts']) => void

function textWriter(name: ColumnName): Writer {
  const k = TEXT_NAMES.indexOf(name)
  return (chunk, _, texts) => chunk.text(texts, k)
}

const WRITE: Record<ColumnName, Writer> = {
  event_id: (chunk, row) => chunk.uuid(row.eventId),
  user_id: (chunk, row) => chunk.userId(row.userId),
  timestamp: (chunk, row) => chunk.int8(row.timestamp),
  anonymous_id: textWriter('anonymous_id'),
  event_name: textWriter('event_name'),
  event_type: textWriter('event_type'),
  session_id: textWriter('session_id'),
  source: textWriter('source'),
  received_at: (chunk, row) => chunk.int8(row.receivedAt),
  ip_address: (chunk, row) => chunk.value(row.ipAddress),
  user_agent: textWriter('user_agent'),
  metadata: (chunk, row) => chunk.jsonb(row.metadata),
}
const WRITERS = COLUMNS.map(({ name }) => WRITE[name])
const USUAL_WRITERS = COLUMNS.filter(({ name }) => !TEXT_NAMES.includes(name)).map(({ name }) => WRITE[name])

function writeRow(chunk: Chunk, row: EventRow, writers: readonly Writer[], ordinal?: number): void {
  chunk.int16(writers.length + (ordinal === undefined ? 1 : 2))
  if (ordinal !== undefined) {
    chunk.int32(4)
    chunk.int32(ordinal)
  }
  const { texts } = row
  for (const write of writers) write(chunk, row, texts)
  chunk.int8(row.sentCheck)
}

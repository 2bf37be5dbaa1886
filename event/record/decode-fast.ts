/**
 * The fast path of decode.ts: recognizes a record written by the API (encode.ts) from its bytes, and finds the fields at
 * their known positions; decode-texts.ts does so for one with optional fields. It does not parse the metadata. PostgreSQL
 * parses them anyway, and if it refuses them, the general decoder decodes the record again to find out why (decodeAgain()
 * in decode.ts).
 *
 * This is only an optimization: the general decoder reads these records the same way.
 */
import { isUuid, UUID_BYTES } from '../canonical-bytes.ts'
import type { EventRow } from '../fields.ts'
import type { Int8, UserIdType } from '../kinds.ts'
import { TIMESTAMP_BYTES } from '../timestamp.ts'
import {
  isStorable,
  matches,
  receivedAts,
  timestamps,
  userIdAt,
  userIdBytes,
  userIdEnd,
  userTextEnd,
} from './canonical-values.ts'
import { decodeWithTexts, NO_USER } from './decode-texts.ts'
import {
  BEFORE_EVENT_ID,
  BEFORE_METADATA,
  BEFORE_RECEIVED_AT,
  BEFORE_TIMESTAMP,
  BEFORE_USER_ID,
  EVENT_ID_AT,
  USER_ID_AT,
} from './layout.ts'
import { checkWithout } from './sent-check.ts'

/** The row of a canonical record. Undefined for any other record, which may be valid in another form. Pure. */
export function decodeCanonical(value: Buffer, userIdType: UserIdType): EventRow | undefined {
  const idEnd = EVENT_ID_AT + UUID_BYTES
  if (!matches(value, 0, BEFORE_EVENT_ID) || !isUuid(value, EVENT_ID_AT, idEnd)) return undefined
  if (!matches(value, idEnd, BEFORE_USER_ID)) return decodeWithTexts(value, NO_USER)
  const userEnd = userIdEnd(value, USER_ID_AT, userIdType)
  if (userEnd < 0 || !matches(value, userEnd, BEFORE_TIMESTAMP)) return undefined
  if (
    !matches(value, timestampAt(userEnd) + TIMESTAMP_BYTES, BEFORE_RECEIVED_AT) ||
    !matches(value, receivedAt(userEnd) + TIMESTAMP_BYTES, BEFORE_METADATA)
  )
    return decodeWithTexts(value, userEnd)
  const isGood = isStorable(value, timestampAt(userEnd), receivedAt(userEnd), metadataAt(userEnd))
  return isGood ? new CanonicalRow(value, userEnd) : undefined
}

// Where the values stand that follow user_id.
const timestampAt = (userEnd: number): number => userEnd + BEFORE_TIMESTAMP.length
const receivedAt = (userEnd: number): number =>
  timestampAt(userEnd) + TIMESTAMP_BYTES + BEFORE_RECEIVED_AT.length
const metadataAt = (userEnd: number): number => receivedAt(userEnd) + TIMESTAMP_BYTES + BEFORE_METADATA.length

/**
 * A row whose fields are read from the record when it is written. Until then, which is long for the garbage collector
 * after a large fetch, it takes one object instead of eight.
 */
class CanonicalRow implements EventRow {
  readonly #value: Buffer
  readonly #userEnd: number

  constructor(value: Buffer, userEnd: number) {
    this.#value = value
    this.#userEnd = userEnd
  }

  get eventId(): string {
    return this.#value.toString('latin1', EVENT_ID_AT, EVENT_ID_AT + UUID_BYTES)
  }
  get userId(): number | Buffer {
    return userIdAt(this.#value, USER_ID_AT, this.#userEnd)
  }
  get timestamp(): number {
    return timestamps.micros(this.#value, timestampAt(this.#userEnd))
  }
  get receivedAt(): number {
    return receivedAts.micros(this.#value, receivedAt(this.#userEnd))
  }
  get metadata(): Buffer {
    return this.#value.subarray(metadataAt(this.#userEnd), this.#value.length - 1)
  }
  get sentCheck(): Int8 {
    // From the end of the timestamp's value to the end of received_at's.
    const timestampEnd = timestampAt(this.#userEnd) + TIMESTAMP_BYTES
    const textEnd = userTextEnd(this.#value, USER_ID_AT, this.#userEnd)
    return checkWithout(this.#value, timestampEnd, receivedAt(this.#userEnd) + TIMESTAMP_BYTES, textEnd)
  }
  get variableBytes(): number {
    const metadataBytes = this.#value.length - 1 - metadataAt(this.#userEnd)
    return metadataBytes + userIdBytes(this.#value, USER_ID_AT, this.#userEnd)
  }
}

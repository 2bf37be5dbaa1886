const CANONICAL_START = Buffer.from('{"event_id":"')
const UUID_LENGTH = 36

/** Whether a record begins as those of the API do, with its id. Only others can lack it. */
export function isCanonical(value: Buffer): boolean {
  return value.subarray(0, CANONICAL_START.length).equals(CANONICAL_START)
}

/**
 * The id by which the row of a record is looked up, so that PostgreSQL need not read the record for that alone. What it then
 * reads decides; if that is another id, the record is looked up again by it.
 *
 * @returns in lower case; undefined if the record has no text as its id
 */
export function lookupId(value: Buffer): string | undefined {
  const start = CANONICAL_START.length
  if (isCanonical(value)) return value.toString('latin1', start, start + UUID_LENGTH)
  const id = parsedId(value)
  return typeof id === 'string' ? id.toLowerCase() : undefined
}

function parsedId(value: Buffer): unknown {
  try {
    return (JSON.parse(value.toString()) as { event_id?: unknown } | null)?.event_id
  } catch {
    return undefined
  }
}

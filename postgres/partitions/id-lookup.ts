/*
 * Finding rows of `events` by their ids. While PostgreSQL plans a statement, it opens and locks every leaf that the
 * statement's constants and parameters do not exclude, so these must say where the ids are. The ids themselves would do,
 * but at 4 us for each; the spans that they lie in do it at no cost that can be seen.
 */

/** As many spans as one lookup takes well: the planner considers each of them for each leaf. */
const SPANS = 64
/** Of an id as text: the first 24 bits of its time, a span of 4.7 hours. */
const PREFIX_LENGTH = 6
/** Ids of the years 2004 to 2109, if they begin with a time. Others are of no time, and all in `events_other`. */
const FIRST_TIMED = '01'
const AFTER_TIMED = '04'

/** Ids close to each other. */
interface Span {
  low: string
  high: string
  ids: string[]
}

/** Ids that are looked up together. */
export type IdLookup = readonly Span[]

/**
 * The lookups that find the rows of these ids: one, unless they are of many different times. None opens a leaf that is not
 * within 4.7 hours of an id. Pure.
 *
 * @param ids canonical
 */
export function lookupsOf(ids: readonly string[]): IdLookup[] {
  const spans = spansOf(ids)
  return Array.from({ length: Math.ceil(spans.length / SPANS) }, (_, n) =>
    spans.slice(n * SPANS, (n + 1) * SPANS),
  )
}

/**
 * A condition on event_id of `events`. (The planner does not look into the subselect.)
 *
 * @param values to which its parameters are added
 */
export function isOneOf(lookup: IdLookup, values: unknown[]): string {
  const parameter = (value: string): string => `$${values.push(value)}`
  const ids = parameter(`{${lookup.flatMap((span) => span.ids).join(',')}}`)
  const within = lookup.map(({ low, high }) => `event_id BETWEEN ${parameter(low)} AND ${parameter(high)}`)
  return `event_id = ANY((SELECT ${ids}::uuid[])::uuid[]) AND (${within.join(' OR ')})`
}

/** In order of time. */
function spansOf(ids: readonly string[]): Span[] {
  const spans = new Map<string, Span>()
  for (const id of ids) {
    const prefix = prefixOf(id)
    const span = spans.get(prefix)
    if (span === undefined) {
      spans.set(prefix, { low: id, high: id, ids: [id] })
      continue
    }
    span.ids.push(id)
    if (id < span.low) span.low = id
    if (id > span.high) span.high = id
  }
  return [...spans.values()].toSorted((a, b) => (a.low < b.low ? -1 : 1))
}

function prefixOf(id: string): string {
  if (id < FIRST_TIMED) return '<'
  return id >= AFTER_TIMED ? '>' : id.slice(0, PREFIX_LENGTH)
}

import type { Report } from '../../k6/lib/report.ts'
import type { NotAcknowledged } from './k6-output.ts'

/** The outcome of an event; see k6-sql.ts. */
export type K6Outcome =
  | 'stored'
  | 'different'
  | 'missing'
  | 'dead'
  | 'absent'
  | 'unacknowledged_stored'
  | 'refused_stored'

/** A range of event numbers to look up, both inclusive. */
export interface K6Range {
  first: number
  last: number
}

/** The expected outcome of a run, before looking at the tables. All counts are events. */
export interface K6Expectation {
  ranges: K6Range[]
  sent: number
  acknowledged: number
  not_acknowledged: number
  /** Interrupted when k6 was stopped, so it is unknown whether they were acknowledged. */
  unknown: number
  problems: string[]
}

export interface K6Verdict {
  ok: boolean
  /** The counts in one sentence. */
  sentence: string
  /** Names and counts, for a table. */
  rows: [name: string, count: number][]
  problems: string[]
}

/** The ranges of a run, divided into chunks that bound the memory of a comparison, and the expected outcome. */
export function expectationOf(
  report: Report,
  failed: readonly NotAcknowledged[],
  interrupted: number,
  chunk: number,
): K6Expectation {
  const { batch } = report
  const parts = report.parts.map((part) => ({ ...part }))
  const lastBegun = parts.findLast(({ requests }) => requests > 0) ?? parts[0]
  if (lastBegun !== undefined) lastBegun.requests += interrupted
  const sent = batch * parts.reduce((sum, { requests }) => sum + requests, 0)
  const not_acknowledged = failed.reduce((sum, { count }) => sum + count, 0)
  const unknown = Math.min(batch * interrupted, sent - not_acknowledged)
  const problems =
    interrupted === 0 && failed.length !== report.failed
      ? [`k6 counted ${report.failed} requests without a 202, but named ${failed.length}`]
      : []
  const ranges = parts.flatMap(({ first, requests }) => cut(first, first + requests * batch, chunk))
  return {
    ranges,
    sent,
    acknowledged: sent - not_acknowledged - unknown,
    not_acknowledged,
    unknown,
    problems,
  }
}

/** Divides the numbers from `first` up to the end (exclusive) into chunks. */
function cut(first: number, end: number, chunk: number): K6Range[] {
  const ranges: K6Range[] = []
  for (let from = first; from < end; from += chunk) {
    ranges.push({ first: from, last: Math.min(from + chunk, end) - 1 })
  }
  return ranges
}

/** The verdict on a run (pure), from the expectation, the count of each outcome, and the rows in excess of one per id. */
export function conclude(
  expected: K6Expectation,
  found: Partial<Record<K6Outcome, number>>,
  copies: number,
): K6Verdict {
  const count = (outcome: K6Outcome) => found[outcome] ?? 0
  // Interrupted events may be missing or stored; neither is a problem.
  const lost = Math.max(0, count('missing') - expected.unknown)
  const unknownStored = Math.max(0, expected.unknown - count('missing'))
  const stored = count('stored') - unknownStored
  const problems = [...expected.problems]
  if (copies > 0) problems.push(`${grouped(copies)} rows have the id of another row`)
  if (count('dead') > 0) problems.push(`${grouped(count('dead'))} events are dead letters; none should be`)
  if (count('refused_stored') > 0) {
    problems.push(
      `${grouped(count('refused_stored'))} events are stored although the API answered that they were not accepted`,
    )
  }
  const ok = lost + count('different') === 0 && stored === expected.acknowledged && problems.length === 0
  return {
    ok,
    problems,
    sentence:
      `${grouped(expected.sent)} sent, ${grouped(expected.acknowledged)} acknowledged, ${grouped(stored)} stored once ` +
      `with their content, ${grouped(lost)} lost, ${grouped(count('different'))} different`,
    rows: [
      ['sent', expected.sent],
      ...ifAny(expected.unknown, [
        ['  interrupted when k6 was stopped', expected.unknown],
        ['  of these stored', unknownStored],
      ]),
      ['  not acknowledged', expected.not_acknowledged],
      ...ifAny(expected.not_acknowledged, [
        ['  of these stored', count('unacknowledged_stored') + count('refused_stored')],
      ]),
      ['acknowledged', expected.acknowledged],
      ['  stored once with their content', stored],
      ['  dead letters', count('dead')],
      ['  missing', lost],
      ['  different', count('different')],
    ],
  }
}

function ifAny(count: number, rows: K6Verdict['rows']): K6Verdict['rows'] {
  return count > 0 ? rows : []
}

function grouped(value: number): string {
  return value.toLocaleString('en-US')
}

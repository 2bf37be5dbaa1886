import type { Report } from '../../k6/lib/report.ts'
import type { Finding, FindingKind, Verdict } from '../verify/verdict.ts'
import type { NotAcknowledged } from './k6-output.ts'

/** The expected outcome of a run, before looking at the tables. All counts are events. */
export interface K6Expectation {
  sent: number
  acknowledged: number
  not_acknowledged: number
  /** Interrupted when k6 was stopped, so it is unknown which they are and whether they were accepted. */
  interrupted: number
  problems: string[]
}

export interface K6Verdict {
  ok: boolean
  /** The counts in one sentence. */
  sentence: string
  /** Names and counts, for a table. */
  rows: [name: string, count: number][]
  /** The first of each kind. */
  findings: [kind: FindingKind, finding: Finding][]
  problems: string[]
}

const KINDS: readonly FindingKind[] = ['acked_missing', 'acked_different', 'missing', 'different']
const FINDINGS_SHOWN = 10

export function expectationOf(
  report: Report,
  failed: readonly NotAcknowledged[],
  interrupted: number,
): K6Expectation {
  const requests = partsOf(report, interrupted).reduce((sum, part) => sum + part.requests, 0)
  const sent = report.batch * requests
  const not_acknowledged = failed.reduce((sum, { count }) => sum + count, 0)
  const unknown = Math.min(report.batch * interrupted, sent - not_acknowledged)
  const problems =
    interrupted === 0 && failed.length !== report.failed
      ? [`k6 counted ${report.failed} requests without a 202, but named ${failed.length}`]
      : []
  return {
    sent,
    acknowledged: sent - not_acknowledged - unknown,
    not_acknowledged,
    interrupted: unknown,
    problems,
  }
}

/** The numbers of the events that were acknowledged or interrupted. */
export function* numbersOf(
  report: Report,
  failed: readonly NotAcknowledged[],
  interrupted: number,
): Generator<number> {
  const { batch } = report
  const failedFirsts = new Set(failed.map(({ n }) => n))
  for (const { first, requests } of partsOf(report, interrupted)) {
    for (let request = first; request < first + requests * batch; request += batch) {
      if (failedFirsts.has(request)) continue
      for (let n = request; n < request + batch; n += 1) yield n
    }
  }
}

/** The parts with all requests that were started: the report does not count interrupted ones. */
function partsOf({ parts }: Report, interrupted: number): Report['parts'] {
  const last = parts.findLast(({ requests }) => requests > 0) ?? parts[0]
  return parts.map((part) => (part === last ? { ...part, requests: part.requests + interrupted } : part))
}

/** The verdict on a run, from the expectation and what verify found for the events of `numbersOf` (pure). */
export function judgeRun(expected: K6Expectation, found: Verdict): K6Verdict {
  const { sent, acknowledged, not_acknowledged, interrupted } = expected
  const [dead, different] = [found.acked_dead, found.acked_different_count]
  // As many may be missing as were interrupted.
  const absent = acknowledged + interrupted - found.acked_stored - dead - different
  const missing = Math.max(0, absent - interrupted)
  const stored = Math.max(0, acknowledged - missing - dead - different)
  const problems = [...expected.problems, ...found.problems]
  if (found.acked_not_yet_read > 0) {
    problems.push(
      `${grouped(found.acked_not_yet_read)} of these events are in Kafka, and the sink has not read them yet`,
    )
  }
  if (dead > 0) problems.push(`${grouped(dead)} of these events are dead letters; none should be`)
  for (const kind of ['missing', 'different'] as const) {
    const count = found[`${kind}_count`]
    if (count > 0) problems.push(`${grouped(count)} records of the topic are ${kind}`)
  }
  return {
    ok: missing + different === 0 && problems.length === 0,
    sentence:
      `${grouped(sent)} sent, ${grouped(acknowledged)} acknowledged, ${grouped(stored)} stored once with their content, ` +
      `${grouped(missing)} lost, ${grouped(different)} different`,
    rows: [
      ['sent', sent],
      ['  not acknowledged', not_acknowledged],
      ['  interrupted when k6 was stopped', interrupted],
      ['acknowledged', acknowledged],
      ['  stored once with their content', stored],
      ['  dead letters', dead],
      ['  missing', missing],
      ['  different', different],
    ],
    findings: KINDS.filter((kind) => kind !== 'acked_missing' || missing > 0).flatMap((kind) =>
      found[kind].slice(0, FINDINGS_SHOWN).map((finding): [FindingKind, Finding] => [kind, finding]),
    ),
    problems,
  }
}

function grouped(value: number): string {
  return value.toLocaleString('en-US')
}

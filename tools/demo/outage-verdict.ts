import { count } from './timeline-text.ts'
import type { Verdict } from '../verify/verdict.ts'

/** What was found in the table, set against what was acknowledged. */
export interface OutageVerdict {
  acknowledged: number
  /** Acknowledged events whose row is there, with the content that was sent. */
  stored: number
  /** Acknowledged events without such a row. */
  lost: number
  /** Rows beyond the first of an id. */
  twice: number
  /** Nothing is lost, nothing is there twice, and nothing else is wrong. */
  ok: boolean
  /** What else is wrong, in sentences. */
  problems: string[]
}

/**
 * Judges by what was found: the comparison of the topic and the ack file with the tables, the rows counted, and the
 * 202s that the load counted itself.
 */
export function judgeOutage(
  found: Verdict,
  rows: { all: number; distinct: number },
  ackedByLoad: number,
): OutageVerdict {
  const lost = found.acked - found.acked_stored
  const twice = rows.all - rows.distinct
  const problems = [...found.problems]
  if (found.acked !== ackedByLoad) {
    problems.push(
      `the ack file holds ${count(found.acked)} events, but ${count(ackedByLoad)} were acknowledged`,
    )
  }
  if (found.acked === 0) problems.push('nothing was acknowledged')
  if (found.not_yet_read > 0)
    problems.push(`${count(found.not_yet_read)} records of the topic are not stored yet`)
  if (rows.distinct !== found.stored) {
    problems.push(
      `events holds ${count(rows.distinct)} ids, but the topic ${count(found.stored)} that are stored`,
    )
  }
  for (const kind of ['missing', 'different', 'dead'] as const) {
    const records = kind === 'dead' ? found.dead : found[`${kind}_count`]
    if (records > 0) problems.push(`${count(records)} records of the topic are ${kind}`)
  }
  const ok = found.ok && lost === 0 && twice === 0 && problems.length === 0
  return { acknowledged: found.acked, stored: found.acked_stored, lost, twice, ok, problems }
}

/** The verdict in one line. */
export function verdictLine({ acknowledged, stored, lost, twice }: OutageVerdict): string {
  return `${count(acknowledged)} acknowledged, ${count(stored)} stored, ${count(lost)} lost, ${count(twice)} twice`
}

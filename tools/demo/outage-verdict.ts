import { count } from './timeline-text.ts'
import type { Verdict } from '../verify/verdict.ts'

/** The result of comparing the table with the acknowledged events. */
export interface OutageVerdict {
  acknowledged: number
  /** Acknowledged events stored with the content that was sent. */
  stored: number
  /** Acknowledged events that are missing or stored with other content. */
  lost: number
  /** Surplus rows: the number of rows minus the number of distinct ids. */
  twice: number
  /** Nothing is lost, nothing is stored twice, and there are no problems. */
  ok: boolean
  /** Other problems, one sentence each. */
  problems: string[]
}

/**
 * Judges an outage by the comparison of topic, ack file and tables, by the number of rows, and by the number of 202s
 * that the load counted itself.
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
      `events holds ${count(rows.distinct)} ids, but only ${count(found.stored)} of them match records of the topic`,
    )
  }
  const bad = {
    missing: found.missing_count,
    different: found.different_count,
    changed: found.changed, // nobody changes a row here
    dead: found.dead,
  }
  for (const [kind, records] of Object.entries(bad)) {
    if (records > 0) problems.push(`${count(records)} records of the topic are ${kind}`)
  }
  const ok = found.ok && lost === 0 && twice === 0 && problems.length === 0
  return { acknowledged: found.acked, stored: found.acked_stored, lost, twice, ok, problems }
}

/** The verdict in one line. */
export function verdictLine({ acknowledged, stored, lost, twice }: OutageVerdict): string {
  return `${count(acknowledged)} acknowledged, ${count(stored)} stored, ${count(lost)} lost, ${count(twice)} twice`
}

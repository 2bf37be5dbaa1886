/*
 * What was seen during an outage, second by second, and what follows from it. Pure: who looks is watch-stack.ts, who
 * shows it timeline-text.ts and timeline-svg.ts.
 */

/** What was seen at one moment. Counts are since the start; what did not answer is undefined. */
export interface Observation {
  /** Since the start. */
  atS: number
  sent: number
  acked: number
  failed: number
  /** Of the events acknowledged since the observation before. */
  latenciesMs: readonly number[]
  /** Rows in the table, as the sinks count them. */
  stored: number | undefined
  /** Records in Kafka that are not stored yet. */
  lag: number | undefined
}

/** The time between two observations. */
export interface Point extends Observation {
  fromS: number
  requestsPerS: number
  ackedPerS: number
  storedPerS: number | undefined
  p99Ms: number | undefined
}

/** What happened and when, in seconds since the start. */
interface Moments {
  /** The database no longer answered. */
  stoppedS?: number
  /** It answered a query again. */
  startedS?: number
  caughtUpS?: number
  loadEndedS?: number
}

/** What an outage looked like from its beginning to the end of the drain. */
export interface Timeline {
  points: Point[]
  moments: Moments
}

/** The figures in which a timeline ends; undefined where the outage or the drain was not seen to its end. */
export interface TimelineSummary {
  /** What is left out of "before": the first seconds of processes that had just begun. */
  warmUpS: number
  outageS: number | undefined
  p99Ms: { before: number | undefined; during: number | undefined; after: number | undefined }
  /** Acknowledged a second while the database was down. */
  ackedPerSDuring: number | undefined
  /** Rows stored a second while the database was down: of the seconds that lie wholly in it. */
  storedPerSDuring: number | undefined
  largestLag: number
  /** From the database's first answer to the sinks being less than a second behind. */
  drainS: number | undefined
  drainedPerS: number | undefined
}

const START: Observation = { atS: 0, sent: 0, acked: 0, failed: 0, latenciesMs: [], stored: 0, lag: 0 }

/** The point that an observation makes with the one before it. A counter that went back was restarted: its rate is unknown. */
export function nextPoint(before: Observation | undefined, now: Observation): Point {
  const from = before ?? START
  const seconds = Math.max(0.001, now.atS - from.atS)
  const rate = (end: number, start: number) => (end - start) / seconds
  const isStoredKnown = now.stored !== undefined && from.stored !== undefined && now.stored >= from.stored
  return {
    ...now,
    fromS: from.atS,
    requestsPerS: rate(now.sent, from.sent),
    ackedPerS: rate(now.acked, from.acked),
    storedPerS: isStoredKnown ? rate(now.stored ?? 0, from.stored ?? 0) : undefined,
    p99Ms: percentile(now.latenciesMs, 99),
  }
}

/** The smallest value that `percent` of all are not above; undefined of none. */
export function percentile(values: readonly number[], percent: number): number | undefined {
  const sorted = Float64Array.from(values).toSorted()
  return sorted[Math.max(0, Math.ceil((sorted.length * percent) / 100) - 1)]
}

/** Whether the sinks are less than a second of load behind, or as near as they were before the outage. */
export function isCaughtUp({ points, moments }: Timeline, rate: number): boolean {
  const { stoppedS = Infinity, startedS = Infinity } = moments
  const last = points.at(-1)
  // What was seen when the database came back still counts the outage's backlog.
  if (last?.lag === undefined || last.fromS < startedS) return false
  const before = points.filter((point) => point.atS <= stoppedS).map((point) => point.lag ?? 0)
  return last.lag <= Math.max(rate, ...before)
}

/** Sums a timeline up. `warmUpS`: see there. */
export function summarize({ points, moments }: Timeline, warmUpS: number): TimelineSummary {
  const { stoppedS = Infinity, startedS = Infinity, caughtUpS, loadEndedS = Infinity } = moments
  const latencies = (inPhase: (point: Point) => boolean) =>
    percentile(
      points.filter(inPhase).flatMap(({ latenciesMs }) => latenciesMs),
      99,
    )
  const inside = points.filter(({ fromS, atS }) => fromS >= stoppedS && atS <= startedS)
  const atStart = points.findLast(({ atS, stored }) => atS <= startedS && stored !== undefined)
  const atEnd = points.find(({ atS, stored }) => atS >= (caughtUpS ?? Infinity) && stored !== undefined)
  const drainS = caughtUpS === undefined ? undefined : caughtUpS - startedS
  const drained = (atEnd?.stored ?? Number.NaN) - (atStart?.stored ?? Number.NaN)
  return {
    warmUpS,
    outageS: Number.isFinite(startedS - stoppedS) ? startedS - stoppedS : undefined,
    p99Ms: {
      before: latencies(({ fromS, atS }) => fromS >= warmUpS && atS <= stoppedS),
      // A second that holds the beginning or the end counts as one of the outage.
      during: latencies(({ fromS, atS }) => atS > stoppedS && fromS < startedS),
      after: latencies(({ fromS }) => fromS >= startedS && fromS < loadEndedS),
    },
    ackedPerSDuring: mean(inside.map(({ ackedPerS }) => ackedPerS)),
    storedPerSDuring: mean(inside.flatMap(({ storedPerS }) => storedPerS ?? [])),
    largestLag: points.reduce((most, { lag }) => Math.max(most, lag ?? 0), 0),
    drainS,
    drainedPerS: drainS === undefined || Number.isNaN(drained) ? undefined : drained / drainS,
  }
}

function mean(values: readonly number[]): number | undefined {
  return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0) / values.length
}

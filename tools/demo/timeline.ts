/*
 * The observations of an outage, second by second, and their summary. Pure: watch-stack.ts observes, timeline-text.ts
 * and timeline-svg.ts present.
 */

/** One observation. Counts are since the start; undefined if a service did not answer. */
export interface Observation {
  /** Seconds since the start. */
  atS: number
  sent: number
  acked: number
  failed: number
  /** Latencies of the events acknowledged since the previous observation. */
  latenciesMs: readonly number[]
  /** Rows stored, as counted by the sinks. */
  stored: number | undefined
  /** Records in Kafka that are not yet stored. */
  lag: number | undefined
}

/** The interval between two observations. */
export interface Point extends Observation {
  fromS: number
  requestsPerS: number
  ackedPerS: number
  storedPerS: number | undefined
  p99Ms: number | undefined
}

/** When things happened, in seconds since the start. */
interface Moments {
  /** The database stopped answering. */
  stoppedS?: number
  /** The database answered a query again. */
  startedS?: number
  caughtUpS?: number
  loadEndedS?: number
}

/** The record of an outage until the end of the drain. */
export interface Timeline {
  points: Point[]
  moments: Moments
}

/** The key figures; undefined if the outage or the drain was not observed to its end. */
export interface TimelineSummary {
  /** The first seconds, not counted as "before", because the processes have just started. */
  warmUpS: number
  outageS: number | undefined
  p99Ms: { before: number | undefined; during: number | undefined; after: number | undefined }
  /** Events acknowledged per second while the database was down. */
  ackedPerSDuring: number | undefined
  /** Rows stored per second while the database was down, over the seconds that lie entirely within the outage. */
  storedPerSDuring: number | undefined
  largestLag: number
  /** From the database's first answer until the sinks are less than a second behind. */
  drainS: number | undefined
  drainedPerS: number | undefined
}

const START: Observation = { atS: 0, sent: 0, acked: 0, failed: 0, latenciesMs: [], stored: 0, lag: 0 }

/** Combines an observation with the previous point. If a counter decreased, its service restarted and the rate is unknown. */
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

/** The nearest-rank percentile; undefined without values. */
export function percentile(values: readonly number[], percent: number): number | undefined {
  const sorted = Float64Array.from(values).toSorted()
  return sorted[Math.max(0, Math.ceil((sorted.length * percent) / 100) - 1)]
}

/** Whether the lag is less than a second of load, or no more than before the outage. */
export function isCaughtUp({ points, moments }: Timeline, rate: number): boolean {
  const { stoppedS = Infinity, startedS = Infinity } = moments
  const last = points.at(-1)
  // The observation made when the database came back may be from before the drain.
  if (last?.lag === undefined || last.fromS < startedS) return false
  const before = points.filter((point) => point.atS <= stoppedS).map((point) => point.lag ?? 0)
  return last.lag <= Math.max(rate, ...before)
}

/** Summarises a timeline. `warmUpS`: see TimelineSummary. */
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
      // A second that contains the start or the end of the outage counts as part of it.
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

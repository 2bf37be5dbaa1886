import type { OutageVerdict } from '../../tools/demo/outage-verdict.ts'
import { nextPoint, type Observation, type Timeline } from '../../tools/demo/timeline.ts'

/** 1,000 events/s for 20 s; the database is down from 5.0 to 10.0 s, and the backlog is stored in the two seconds after 11. */
export function outage(): Timeline {
  const timeline: Timeline = {
    points: [],
    moments: { stoppedS: 5, startedS: 10, caughtUpS: 13, loadEndedS: 20 },
  }
  for (let atS = 1; atS <= 20; atS += 1) {
    const sent = atS * 1000
    const stored = atS <= 5 ? sent : atS <= 11 ? 5000 : atS === 12 ? 9000 : sent
    const now: Observation = {
      atS,
      sent,
      acked: sent,
      failed: 0,
      latenciesMs: [atS],
      stored,
      lag: sent - stored,
    }
    timeline.points.push(nextPoint(timeline.points.at(-1), now))
  }
  return timeline
}

/** A good verdict on it. */
export const fine: OutageVerdict = {
  acknowledged: 20_000,
  stored: 20_000,
  lost: 0,
  twice: 0,
  ok: true,
  problems: [],
}

import type { SinkState } from './outage/sink-state.ts'
import type { Positions } from './positions/positions.ts'

/** The worker's state as /health reports it. Pure. */
export function statusOf(
  { kind, outage }: Pick<SinkState, 'kind' | 'outage'>,
  { all, stopped }: Pick<Positions, 'all' | 'stopped'>,
) {
  const state: 'starting' | 'running' | 'paused' | 'stopped' = kind === 'probing' ? 'paused' : kind
  return {
    state,
    reason: outage?.reason ?? stopped,
    // The sink recovers from an outage by itself; everything else needs an operator.
    needs_person: outage?.needsPerson ?? stopped !== undefined,
    paused_since: outage === undefined ? undefined : new Date(outage.sinceMs).toISOString(),
    partitions: all.map(({ status }) => status),
  }
}

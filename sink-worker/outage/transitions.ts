/**
 * The states of the sink, and what leads from one to the next. Pure; sink-state.ts holds the current one.
 *
 * - `starting`: the positions are not read yet; nothing is fetched.
 * - `running`: batches are fetched and stored.
 * - `paused`: PostgreSQL or Kafka failed. Nothing is fetched; one probe at a time is tried, with growing, jittered delays.
 * - `probing`: the positions could be read again and batches are fetched, but none is committed yet (with a full disk,
 *   connecting and reading still work). A failure now resumes the pause where it was.
 * - `stopped`: as running, but a partition waits for a person (I9).
 */
export type StateKind = 'starting' | 'running' | 'paused' | 'probing' | 'stopped'

export type Happening =
  /** All positions became invalid and are read again. */
  | 'started_over'
  /** They were read. */
  | 'positions_read'
  /** A write, a probe or the membership failed. */
  | 'failed'
  /** A transaction was committed, or there is nothing left to write. */
  | 'proved'
  /** A partition must not be read further. */
  | 'partition_stopped'

export const TRANSITIONS = {
  starting: {
    started_over: 'starting',
    positions_read: 'running',
    failed: 'paused',
    proved: 'starting',
    partition_stopped: 'starting',
  },
  running: {
    started_over: 'starting',
    positions_read: 'running',
    failed: 'paused',
    proved: 'running',
    partition_stopped: 'stopped',
  },
  stopped: {
    started_over: 'starting',
    positions_read: 'running',
    failed: 'paused',
    proved: 'stopped',
    partition_stopped: 'stopped',
  },
  paused: {
    started_over: 'paused',
    positions_read: 'probing',
    failed: 'paused',
    proved: 'running',
    partition_stopped: 'paused',
  },
  probing: {
    started_over: 'probing',
    positions_read: 'probing',
    failed: 'paused',
    proved: 'running',
    partition_stopped: 'probing',
  },
} as const satisfies Record<StateKind, Record<Happening, StateKind>>

/** An outage, from its first failure to the first success. */
export interface Outage {
  /** Of the latest failure. */
  reason: string
  needsPerson: boolean
  sinceMs: number
  /** Failures after the first one. */
  attempts: number
}

/** The outage after a failure: it keeps its start and takes the latest reason. */
export function afterFailure(
  outage: Outage | undefined,
  failure: Pick<Outage, 'reason' | 'needsPerson'>,
  nowMs: number,
): Outage {
  return outage === undefined
    ? { ...failure, sinceMs: nowMs, attempts: 0 }
    : { ...outage, ...failure, attempts: outage.attempts + 1 }
}

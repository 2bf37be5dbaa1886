import type { Maintenance } from '../maintenance.ts'

/** What a line of the report is about. */
export type LineKind =
  /** Something that was done, or begins; or with --dry-run, would be. */
  | 'done'
  /** Why the table is not converted, with what to do; without a full stop. */
  | 'refused'
  /** Something that was not done, although the table is converted, or is as it was. */
  | 'problem'

/** What each step of a conversion works with. */
export interface Conversion extends Omit<Maintenance, 'report' | 'nowMs' | 'clocks'> {
  /** The present, in milliseconds since 1970; steps may take hours. */
  now: () => Promise<number>
  connectionString: string
  report: (kind: LineKind, text: string) => void
  /** How long sinks and readers may wait, in seconds. */
  longestPauseS: number
}

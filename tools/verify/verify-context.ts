import type { Client } from 'pg'
import type { RangeLimits } from './judge-range.ts'
import type { Finding, FindingKind, Verdict } from './verdict.ts'

/** What the parts of one comparison share. */
export interface VerifyContext {
  readonly client: Client
  readonly clusterId: string
  readonly topic: string
  readonly limits: RangeLimits
  readonly verdict: Verdict
  /** Records past the sink's offsets, by partition. */
  readonly notYetRead: Map<number, number>
  /** Acknowledged events that were neither stored nor dead when they were looked up first. */
  pending: number
  /** Whether a part of the topic could not be read: what is not found may be there. */
  isIncomplete: boolean
  /** Takes what is missing or different, as it is found. */
  add(kind: FindingKind, finding: Finding): void
  /** Tells how far it is. */
  report(): void
}

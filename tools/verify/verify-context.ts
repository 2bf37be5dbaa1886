import type { Client } from 'pg'
import type { UserIdType } from './fields-sql.ts'
import type { RangeLimits } from './judge-range.ts'
import type { Finding, FindingKind, Verdict } from './verdict.ts'

/** State shared by the parts of one comparison. */
export interface VerifyContext {
  readonly client: Client
  readonly clusterId: string
  readonly topic: string
  readonly userIdType: UserIdType
  readonly limits: RangeLimits
  readonly verdict: Verdict
  /** Number of records past the sink's offsets, by partition. */
  readonly notYetRead: Map<number, number>
  /** Acknowledged events that were neither stored nor dead-lettered when they were first looked up. */
  pending: number
  /** Whether part of the topic could not be read, so that events not found may still be there. */
  isIncomplete: boolean
  /** Called for each missing or different event. */
  add(kind: FindingKind, finding: Finding): void
  /** Reports progress. */
  report(): void
}

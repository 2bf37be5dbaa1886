import type { Finding, FindingKind } from '../tools/verify/verdict.ts'

const LABELS: Record<FindingKind, string> = {
  missing: 'MISSING',
  different: 'DIFFERENT',
  acked_missing: 'ACKED, MISSING',
  acked_different: 'ACKED, DIFFERENT',
}

const UNDEFINED_TABLE = '42P01'

/** A missing or different event in one line. */
export function findingLine(kind: FindingKind, { event_id, partition, offset, why }: Finding): string {
  const place = partition === null ? 'no record' : `partition ${partition} offset ${offset}`
  return `${LABELS[kind]}  ${event_id ?? 'no id'}  ${place}: ${why}`
}

/** Why a comparison could not be made. */
export function messageOf(error: unknown): string {
  // Several addresses were tried: an AggregateError has no message of its own.
  if (error instanceof AggregateError) return error.errors.map(messageOf).join('\n')
  if ((error as { code?: unknown }).code === UNDEFINED_TABLE) {
    return "The database does not have Firehose's tables: is DATABASE_URL right? npx firehose migrate creates them."
  }
  return error instanceof Error ? error.message : String(error)
}

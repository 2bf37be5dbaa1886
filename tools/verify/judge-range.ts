import { type Client, DatabaseError } from 'pg'
import type { Finding, FindingKind } from './verdict.ts'
import type { Judgement } from './verify-sql.ts'

/** Records or lines that are compared at a time, which bounds memory here and in PostgreSQL. */
export interface RangeLimits {
  items: number
  /** Of values; a range of large ones ends sooner. */
  bytes: number
}

/**
 * One range is one transaction, whose end empties the range's tables.
 *
 * @param fill copies the range into its table
 * @param judge makes the verdicts; its plain form is tried first
 * @param keep counts the verdicts and keeps what is needed later
 * @throws PostgreSQL's error
 */
export async function judgeRange(
  client: Client,
  fill: () => Promise<void>,
  judge: Judgement,
  parameters: readonly (string | boolean)[],
  keep: () => Promise<void>,
): Promise<void> {
  await client.query('BEGIN')
  await fill()
  await client.query('SAVEPOINT filled')
  try {
    await client.query(judge.plain, [...parameters])
  } catch (error) {
    if (!isUnreadable(error)) throw error
    await client.query('ROLLBACK TO SAVEPOINT filled')
    await client.query(judge.careful, [...parameters])
  }
  await keep()
  await client.query('COMMIT')
}

/** The verdicts of a range, counted by a statement that returns rows of `verdict` and `count`. */
export async function countsOf(client: Client, sql: string): Promise<(verdict: string) => number> {
  const { rows } = await client.query<{ verdict: string; count: number }>(sql)
  const counts = new Map(rows.map(({ verdict, count }) => [verdict, count]))
  return (verdict) => counts.get(verdict) ?? 0
}

/** What a range's statement finds missing or different. At most a range's items, without their values. */
export async function findingsOf(
  client: Client,
  sql: string,
): Promise<{ kind: FindingKind; finding: Finding }[]> {
  const { rows } = await client.query<Finding & { kind: FindingKind }>(sql)
  return rows.map(({ kind, ...finding }) => ({ kind, finding }))
}

/** SQLSTATE class 22 is data that a cast refuses, 54001 JSON that is nested too deeply. */
function isUnreadable(error: unknown): boolean {
  return error instanceof DatabaseError && (error.code === '54001' || (error.code ?? '').startsWith('22'))
}

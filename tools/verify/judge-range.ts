import { type Client, DatabaseError } from 'pg'
import type { Finding, FindingKind } from './verdict.ts'
import type { Judgement } from './records-sql.ts'

/** Limits of one range: how much is compared at a time. They bound memory here and in PostgreSQL. */
export interface RangeLimits {
  items: number
  /** Total size of the values; a range of large values holds fewer items. */
  bytes: number
}

/**
 * Works on one range in one transaction. The range's tables are emptied at commit.
 *
 * @param fill copies the range into its table
 * @param work judges it, counts the verdicts and saves what is needed later
 * @throws PostgreSQL's error
 */
export async function inRange(
  client: Client,
  fill: () => Promise<void>,
  work: () => Promise<void>,
): Promise<void> {
  await client.query('BEGIN')
  await fill()
  await work()
  await client.query('COMMIT')
}

/** Computes verdicts within a transaction; the plain form is tried first. @throws PostgreSQL's error */
export async function judge(
  client: Client,
  { plain, careful }: Judgement,
  parameters: readonly unknown[],
): Promise<void> {
  await client.query('SAVEPOINT filled')
  try {
    await client.query(plain, [...parameters])
  } catch (error) {
    if (!isUnreadable(error)) throw error
    await client.query('ROLLBACK TO SAVEPOINT filled')
    await client.query(careful, [...parameters])
  }
}

/** How many of a range have a verdict. */
export type Count = (verdict: string) => number

/** Counts the verdicts of a range. @param sql returns rows of `verdict` and `count` */
export async function countsOf(client: Client, sql: string): Promise<Count> {
  const { rows } = await client.query<{ verdict: string; count: number }>(sql)
  const counts = new Map(rows.map(({ verdict, count }) => [verdict, count]))
  return (verdict) => counts.get(verdict) ?? 0
}

/** The missing and different items of a range, without their values. */
export async function findingsOf(
  client: Client,
  sql: string,
): Promise<{ kind: FindingKind; finding: Finding }[]> {
  const { rows } = await client.query<Finding & { kind: FindingKind }>(sql)
  return rows.map(({ kind, ...finding }) => ({ kind, finding }))
}

/** SQLSTATE class 22 (data exception) is data that a cast rejects, 54001 (statement_too_complex) JSON nested too deeply. */
function isUnreadable(error: unknown): boolean {
  return error instanceof DatabaseError && (error.code === '54001' || (error.code ?? '').startsWith('22'))
}

import type { Conversion } from './conversion.ts'

/** Sinks hold locks for as long as a transaction takes; a longer time needs a person. */
class TableBusyError extends Error {
  override readonly name = 'TableBusyError'
}

/**
 * Runs work in a brief transaction that has the table locked.
 *
 * @throws {TableBusyError} if the lock could not be had in two minutes; else as BriefTransactions.run()
 */
export async function locked(
  { brief }: Pick<Conversion, 'brief'>,
  table: string,
  work: () => Promise<void>,
): Promise<void> {
  const attempt = await brief.run([{ table, mode: 'ACCESS EXCLUSIVE' }], work)
  if (!attempt.locked)
    throw new TableBusyError(
      `other sessions held ${table} for two minutes: end their transactions ("npx firehose doctor" names them), or wait, then run this again`,
    )
}

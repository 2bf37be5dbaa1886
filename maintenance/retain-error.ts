import { failureText, isRefusal } from './failure.ts'

/** What an error means here, by SQLSTATE. */
const REASONS: Readonly<Record<string, string>> = {
  '55P03': 'another session has it locked, perhaps a VACUUM; the next run tries again',
  '57014': 'it took too long; the next run tries again',
}

/**
 * Why something was not deleted, in a sentence; undefined if the error ends the step: the connection is gone, or the error
 * is not PostgreSQL's. Pure.
 *
 * @param what was not done, as the beginning of the sentence
 */
export function refusalText(what: string, error: unknown): string | undefined {
  if (!isRefusal(error)) return undefined
  const { code = '', detail } = error as { code?: string; detail?: string }
  // Only here, because elsewhere the detail may have values: it names what depends on the table.
  const reason = code === '2BP01' ? detail?.replaceAll('\n', '; ') : REASONS[code]
  return reason === undefined ? failureText(what, error) : `${what}: ${reason}.`
}

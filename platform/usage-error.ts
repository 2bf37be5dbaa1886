/** The command line is invalid; the message is one sentence that says why. */
export class UsageError extends Error {
  override name = 'UsageError'
}

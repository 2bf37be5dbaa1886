/** An error that the user can act on: its message is one sentence, printed without a stack trace. */
export class UserError extends Error {
  override name = 'UserError'
}

/** An error that the user can act on: its message is one plain sentence, printed without a stack. */
export class UserError extends Error {
  override name = 'UserError'
}

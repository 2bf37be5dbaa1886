import { getSystemErrorMessage } from 'node:util'

/** Why the operating system refused something, without the path: `no such file or directory`. */
export function systemReason(error: unknown): string {
  const { errno } = error as NodeJS.ErrnoException
  return errno === undefined ? String(error) : getSystemErrorMessage(errno)
}

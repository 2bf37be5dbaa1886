import { signal } from '../../embedded/process-info.ts'

/** Sends the signals over and over, as an impatient supervisor would, until the returned function is called. */
export function repeatSignals(pid: number, names: readonly NodeJS.Signals[]): () => void {
  const send = (): void => {
    for (const name of names) signal(pid, name)
  }
  send()
  const timer = setInterval(send, 20)
  return () => clearInterval(timer)
}

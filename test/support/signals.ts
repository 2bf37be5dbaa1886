import { signal } from '../../embedded/process-info.ts'

/** Sends the signals repeatedly, like an impatient supervisor, until the returned function is called. */
export function repeatSignals(pid: number, names: readonly NodeJS.Signals[]): () => void {
  const send = (): void => {
    for (const name of names) signal(pid, name)
  }
  send()
  const timer = setInterval(send, 20)
  return () => clearInterval(timer)
}

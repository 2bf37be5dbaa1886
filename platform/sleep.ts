import { setTimeout as timeout } from 'node:timers/promises'

/** Waits `ms`, or until the signal aborts; never rejects. Does not keep the process alive. */
export async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  await timeout(ms, undefined, { ref: false, ...(signal === undefined ? {} : { signal }) }).catch(() => {})
}

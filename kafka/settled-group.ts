import { sleep } from '../platform/sleep.ts'

const STEP_MS = 250

/** Describes a group repeatedly until it is settled or `limitMs` have passed. @returns the last description */
export async function describeSettled<T>(
  describe: () => Promise<T>,
  isSettled: (description: T) => boolean,
  limitMs: number,
  signal?: AbortSignal,
): Promise<T> {
  const endMs = performance.now() + limitMs
  for (;;) {
    signal?.throwIfAborted()
    const description = await describe()
    if (isSettled(description) || performance.now() > endMs) return description
    await sleep(STEP_MS, signal)
  }
}

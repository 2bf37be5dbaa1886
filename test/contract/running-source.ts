import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import type { RecordSource } from '../../sink-worker/record-source.ts'
import { until } from '../support/until.ts'
import type { ClientUnderTest } from './client.ts'
import { Recorder } from './recorder.ts'

const SESSION_MS = 6_000

interface Running {
  source: RecordSource
  recorder: Recorder
  /** Stops it, and waits until run() has ended. */
  end: () => Promise<void>
}

interface RunOptions {
  positions?: Map<number, bigint>
  session?: number
}

/** The group that a test's sources of a topic are members of. */
export function groupOf(topic: string): string {
  return `group-${topic}`
}

/** Makes sources that run until the test ends. */
export function sourcesOf(
  client: ClientUnderTest,
): (t: TestContext, topic: string, options?: RunOptions) => Running {
  return (t, topic, { positions, session = SESSION_MS } = {}) => {
    const source = client.source(topic, { groupId: groupOf(topic), sessionTimeoutMs: session })
    const recorder = new Recorder(source, positions)
    const run = source.run(recorder)
    const end = async (): Promise<void> => {
      await source.stop()
      await run
    }
    t.after(end)
    return { source, recorder, end }
  }
}

/** Waits for as many values, which must be these. */
export async function arrived(recorder: Recorder, values: string[], partition = 0): Promise<void> {
  await until(`${values.length} records`, () => recorder.values(partition).length >= values.length)
  assert.deepEqual(recorder.values(partition), values)
}

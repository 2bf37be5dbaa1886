// The thread started by load-thread.ts: runs a load and posts its ticks to the parent.
import { parentPort, workerData } from 'node:worker_threads'
import { load } from './load.ts'
import type { LoadMessage, ThreadOptions } from './load-thread.ts'

const stop = new AbortController()
let latenciesMs: number[] = []

parentPort?.once('message', () => stop.abort())
try {
  const result = await load({
    ...(workerData as ThreadOptions),
    signal: stop.signal,
    onAccepted: (latencyMs) => latenciesMs.push(latencyMs),
    onProgress: ({ sent, acked, failed }) => post({ kind: 'tick', sent, acked, failed, ...takeLatencies() }),
  })
  post({ kind: 'ended', result, ...takeLatencies() })
} finally {
  parentPort?.close()
}

function takeLatencies(): { latenciesMs: number[] } {
  const taken = { latenciesMs }
  latenciesMs = []
  return taken
}

function post(message: LoadMessage): void {
  // A thread, not a window: it has no origin.
  // oxlint-disable-next-line unicorn/require-post-message-target-origin
  parentPort?.postMessage(message)
}

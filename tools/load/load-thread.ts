import { Worker } from 'node:worker_threads'
import type { LoadOptions, LoadResult } from './load.ts'

/** The options that can be passed to a thread: no functions, no signal. */
export type ThreadOptions = Pick<LoadOptions, 'url' | 'rate' | 'connections' | 'seconds' | 'ackedFile'>

/** Events since the start, and the latencies since the previous tick. */
export interface LoadTick {
  sent: number
  acked: number
  failed: number
  latenciesMs: number[]
}

export type LoadMessage =
  | (LoadTick & { kind: 'tick' })
  | { kind: 'ended'; result: LoadResult; latenciesMs: number[] }

/** A load in its own thread, so that work of the parent does not disturb its pace or its latencies. */
export class LoadThread {
  /** Settles when the load has ended and the ack file is closed. */
  readonly result: Promise<LoadResult>
  readonly #worker: Worker

  /** @param onTick called each second, and once more at the end */
  constructor(options: ThreadOptions, onTick: (tick: LoadTick) => void) {
    const worker = new Worker(new URL('./load-worker.ts', import.meta.url), { workerData: options })
    const { promise, resolve, reject } = Promise.withResolvers<LoadResult>()
    worker.on('message', (message: LoadMessage) => {
      if (message.kind === 'tick') return onTick(message)
      const { result, latenciesMs } = message
      onTick({ ...result, failed: result.sent - result.acked, latenciesMs })
      resolve(result)
    })
    worker.on('error', reject)
    worker.on('exit', () => reject(new Error('the load ended without a result')))
    this.#worker = worker
    this.result = promise
  }

  /** Stops sending; requests in flight have 2 s to be answered. */
  stop(): void {
    // A thread, not a window: it has no origin.
    // oxlint-disable-next-line unicorn/require-post-message-target-origin
    this.#worker.postMessage('stop')
  }

  /** Terminates at once, without a result. */
  async kill(): Promise<void> {
    await this.#worker.terminate()
  }
}

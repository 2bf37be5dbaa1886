import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Child, type Exit } from './child.ts'

const startLimitMs = 60_000
const root = fileURLToPath(new URL('..', import.meta.url))

/**
 * Also in package.json and in the image. A young generation of 3 x 8 MiB instead of 3 x 16, and an old one that at most
 * doubles between two collections, keep a service at 5,000 requests/s below 200 MiB (else about 250), at no cost in CPU
 * that could be measured. kafkajs causes the warning.
 */
export const NODE_FLAGS = [
  '--disable-warning=TimeoutNegativeWarning',
  '--max-semi-space-size=8',
  '--heap-growing-percent=100',
]

/** One malloc arena is enough for what is one thread; compiled code kept on disk needs no compiler in memory (16 MiB). */
const MEMORY_ENV = {
  MALLOC_ARENA_MAX: '1',
  NODE_COMPILE_CACHE: join(tmpdir(), 'firehose-compile-cache'),
}

export interface NodeServiceOptions {
  name: string
  /** Path of the program below the project's root. */
  main: string
  /** Where it serves /readyz and /health on 127.0.0.1. */
  port: number
  env: NodeJS.ProcessEnv
  logFile: string
  pidFile: string
}

/** One of our own services as an operating-system process. */
export class NodeService {
  readonly name: string
  readonly url: string
  readonly #child: Child

  constructor({ name, main, port, env, logFile, pidFile }: NodeServiceOptions) {
    this.name = name
    this.url = `http://127.0.0.1:${port}`
    this.#child = new Child({
      name,
      command: process.execPath,
      args: [...NODE_FLAGS, main],
      env: { ...MEMORY_ENV, ...env },
      cwd: root,
      logFile,
      pidFile,
    })
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  /** Resolves when the present run has ended. */
  get exited(): Promise<Exit> {
    return this.#child.exited
  }

  lastLines(): string[] {
    return this.#child.lastLines()
  }

  /** Starts without waiting: for a service that is not expected to become ready. */
  spawn(): void {
    this.#child.start()
  }

  /** Starts and waits until /readyz says yes. */
  async start(): Promise<void> {
    this.spawn()
    await this.#child.waitUntil(async () => (await this.#get('/readyz'))?.ok ?? false, startLimitMs)
  }

  /** Orderly end; SIGKILL after `limitMs`, then true. */
  stop(limitMs: number): Promise<boolean> {
    return this.#child.stop('SIGTERM', limitMs)
  }

  async kill(): Promise<void> {
    await this.#child.kill()
  }

  /** Stands still (SIGSTOP) until thaw(). */
  async freeze(): Promise<void> {
    await this.#child.freeze()
  }

  thaw(): void {
    this.#child.thaw()
  }

  /** The JSON of /health; undefined when it does not answer. */
  async health(): Promise<Record<string, unknown> | undefined> {
    try {
      const response = await this.#get('/health')
      return response && ((await response.json()) as Record<string, unknown>)
    } catch {
      return undefined
    }
  }

  async #get(path: string): Promise<Response | undefined> {
    try {
      return await fetch(this.url + path, { signal: AbortSignal.timeout(1_000) })
    } catch {
      return undefined
    }
  }
}

import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { NODE_FLAGS, NODE_VARIABLES } from '../platform/node-conf.ts'
import { Child, type Exit } from './child.ts'

const startLimitMs = 60_000
const root = fileURLToPath(new URL('..', import.meta.url))

/** With code cached on disk, the compiler need not be in memory (16 MiB). */
const CACHE_ENV = { NODE_COMPILE_CACHE: join(tmpdir(), 'firehose-compile-cache') }

export interface NodeServiceOptions {
  name: string
  /** Path of the program relative to the project's root. */
  main: string
  /** Port on 127.0.0.1 where it serves /readyz and, unless there is an `opsPort`, /health. */
  port: number
  opsPort?: number | undefined
  env: NodeJS.ProcessEnv
  logFile: string
  pidFile: string
  /** What answers 200 when it has started; /readyz by default. */
  startedPath?: '/livez' | '/readyz'
}

/** One of our own services as an operating-system process. */
export class NodeService {
  readonly name: string
  readonly url: string
  /** Where it serves /health and /metrics. */
  readonly opsUrl: string
  readonly #child: Child
  readonly #startedPath: string

  constructor(options: NodeServiceOptions) {
    const { name, main, port, opsPort = port, env, logFile, pidFile, startedPath = '/readyz' } = options
    this.name = name
    this.#startedPath = startedPath
    this.url = `http://127.0.0.1:${port}`
    this.opsUrl = `http://127.0.0.1:${opsPort}`
    this.#child = new Child({
      name,
      command: process.execPath,
      args: [...NODE_FLAGS, main],
      env: { ...NODE_VARIABLES, ...CACHE_ENV, ...env },
      cwd: root,
      logFile,
      pidFile,
    })
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  /** Resolves when the current run has ended. */
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

  /** Starts and waits until it has started. */
  async start(): Promise<void> {
    this.spawn()
    await this.#child.waitUntil(
      async () => (await this.#get(this.url + this.#startedPath))?.ok ?? false,
      startLimitMs,
    )
  }

  /** Sends SIGTERM, then SIGKILL after `limitMs`. @returns whether SIGKILL was needed */
  stop(limitMs: number): Promise<boolean> {
    return this.#child.stop('SIGTERM', limitMs)
  }

  async kill(): Promise<void> {
    await this.#child.kill()
  }

  /** Suspends the process (SIGSTOP) until thaw(). */
  async freeze(): Promise<void> {
    await this.#child.freeze()
  }

  thaw(): void {
    this.#child.thaw()
  }

  /** The JSON of /health; undefined if the service does not answer. */
  async health(): Promise<Record<string, unknown> | undefined> {
    try {
      const response = await this.#get(`${this.opsUrl}/health`)
      return response && ((await response.json()) as Record<string, unknown>)
    } catch {
      return undefined
    }
  }

  async #get(url: string): Promise<Response | undefined> {
    try {
      return await fetch(url, { signal: AbortSignal.timeout(1_000) })
    } catch {
      return undefined
    }
  }
}

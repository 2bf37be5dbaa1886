import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { freePorts } from '../../embedded/ports.ts'
import { UserError } from '../../embedded/user-error.ts'
import { spawnWatcher } from './guard.ts'
import { separateEnv } from './separate-env.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const run = promisify(execFile)

interface ComposeOptions {
  /** Compose files, relative to the project's root. */
  files?: string[]
  /** Settings, as in .env. */
  env?: NodeJS.ProcessEnv
  /** Receives the output of docker compose, line by line. */
  onLog?: (line: string) => void
  /** Cancels the start. */
  signal?: AbortSignal
}

/**
 * The stack of docker-compose.yml with its own project name, volumes and free ports of 127.0.0.1, so that it never
 * touches a stack that the user runs. It is removed by `down`, and if this process dies before `leave`.
 */
export class ComposeStack {
  readonly project = `firehose-${process.pid}-${Date.now().toString(36)}`
  readonly apiUrl: string
  /** Connection string of the owner of the tables. */
  readonly databaseUrl: string
  readonly kafkaBootstrapServers: string
  readonly #options: ComposeOptions
  readonly #env: NodeJS.ProcessEnv
  #guard: ChildProcess | undefined

  private constructor(options: ComposeOptions, ports: number[]) {
    const [api = 0, postgres = 0, kafka = 0, kafka2 = 0, kafka3 = 0] = ports
    this.#options = options
    this.#env = {
      ...separateEnv(process.env),
      API_PORT: String(api),
      POSTGRES_PORT: String(postgres),
      KAFKA_PORT: String(kafka),
      KAFKA_2_PORT: String(kafka2),
      KAFKA_3_PORT: String(kafka3),
      // Separate images, so that those of the user's stack are not replaced.
      FIREHOSE_IMAGES: 'firehose-test',
      ...options.env,
    }
    const password = encodeURIComponent(this.#env.POSTGRES_PASSWORD ?? 'firehose')
    this.apiUrl = `http://127.0.0.1:${this.#env.API_PORT}`
    this.databaseUrl = `postgresql://firehose:${password}@127.0.0.1:${postgres}/firehose`
    this.kafkaBootstrapServers = `127.0.0.1:${kafka}`
  }

  /**
   * Builds the images and starts the stack; resolves when every service is healthy.
   *
   * @throws {UserError} if no Docker engine answers, or with Compose's output if it fails
   */
  static async up(options: ComposeOptions = {}): Promise<ComposeStack> {
    await requireDocker()
    const stack = new ComposeStack(options, await freePorts(5))
    stack.#guard = spawnDownGuard(stack.project)
    try {
      await stack.#stream(['up', '--build', '--detach', '--wait'])
    } catch (error) {
      const logs = await stack.compose('logs', '--no-color', '--tail', '30').catch(() => '')
      await stack.down()
      throw new UserError(`${(error as Error).message}${logs === '' ? '' : `\n${logs}`}`)
    }
    return stack
  }

  /**
   * Applies other settings or scales, as `docker compose up` does; unaffected containers keep running.
   *
   * @param wait whether to wait until all are healthy
   */
  async change(env: NodeJS.ProcessEnv, scale: Record<string, number>, wait = true): Promise<void> {
    Object.assign(this.#env, env)
    const scales = Object.entries(scale).flatMap(([name, count]) => ['--scale', `${name}=${count}`])
    await this.#stream(['up', '--detach', ...(wait ? ['--wait'] : []), ...scales])
  }

  /** Runs docker compose for this stack. @returns its output, trimmed */
  async compose(...args: string[]): Promise<string> {
    const { stdout } = await run('docker', this.#args(args), {
      cwd: root,
      env: this.#env,
      maxBuffer: 64 * 1024 * 1024,
    })
    return stdout.trim()
  }

  /** Runs a command in a new container of a service, which is removed afterwards. @returns how it ended */
  async runOnce(
    name: string,
    service: string,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<{ code: number; text: string }> {
    const settings = Object.entries(env).flatMap(([key, value]) => ['-e', `${key}=${value}`])
    try {
      const text = await this.compose('run', '--rm', '-T', '--name', name, ...settings, service, ...args)
      return { code: 0, text }
    } catch (error) {
      const { code, stderr } = error as { code?: unknown; stderr?: string }
      if (typeof code !== 'number') throw error
      return { code, text: (stderr ?? '').trim() }
    }
  }

  /** Base URLs of the sink workers' HTTP servers. */
  async sinkUrls(): Promise<string[]> {
    return await this.#urls('sink-worker', 8001)
  }

  /** Base URLs of the HTTP servers of maintain. */
  async maintainUrls(): Promise<string[]> {
    return await this.#urls('maintain', 8003)
  }

  /** Base URLs of all API replicas. */
  async apiUrls(): Promise<string[]> {
    return await this.#urls('producer-api', 8000)
  }

  /** Ids of a service's containers, including stopped ones. */
  async containers(service: string): Promise<string[]> {
    return (await this.compose('ps', '--all', '--quiet', service)).split('\n').filter((id) => id !== '')
  }

  /** Stops a service in order (SIGTERM). */
  async stop(service: string): Promise<void> {
    await this.compose('stop', service)
  }

  /** Starts a stopped or killed service with its data. Does not wait until it is healthy. */
  async start(service: string): Promise<void> {
    await this.compose('start', service)
  }

  /** Kills a service like a crash (SIGKILL). */
  async kill(service: string): Promise<void> {
    await this.compose('kill', service)
  }

  /** Removes containers, networks and volumes. */
  async down(): Promise<void> {
    await this.compose('--profile', '*', 'down', '--volumes', '--remove-orphans', '--timeout', '5')
    this.#guard?.stdin?.end('done\n')
  }

  /** Stops all containers but keeps them, for investigation. */
  async leave(): Promise<void> {
    await this.compose('stop')
    this.#guard?.stdin?.end('done\n')
  }

  async #urls(service: string, port: number): Promise<string[]> {
    const ids = await this.containers(service)
    const published = await Promise.all(
      ids.map(async (id) => await run('docker', ['port', id, String(port)])),
    )
    return published.map(({ stdout }) => `http://${stdout.trim().split('\n')[0]}`)
  }

  #args(args: string[]): string[] {
    const files = (this.#options.files ?? ['docker-compose.yml']).flatMap((file) => ['-f', file])
    // The user's .env must not change what is tested.
    return ['compose', '--env-file', '/dev/null', '-p', this.project, ...files, ...args]
  }

  /** As `compose`, but passes the output to `onLog`. */
  async #stream(args: string[]): Promise<void> {
    const { signal, onLog } = this.#options
    const child = spawn('docker', this.#args(args), {
      cwd: root,
      env: this.#env,
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(signal ? { signal } : {}),
    })
    let tail: string[] = []
    let rest = ''
    const take = (chunk: Buffer) => {
      const lines = (rest + chunk.toString()).split('\n')
      rest = lines.pop() ?? ''
      tail = [...tail, ...lines].slice(-20)
      for (const line of lines) onLog?.(line)
    }
    child.stdout.on('data', take)
    child.stderr.on('data', take)
    const code = await new Promise<number | null>((resolve, reject) => {
      child.on('error', reject)
      child.on('close', resolve)
    })
    if (code !== 0) throw new Error(`docker compose ${args[0]} failed (${code}):\n${tail.join('\n')}`)
  }
}

/** @throws {UserError} if Docker or its compose plugin is missing, or no engine answers */
export async function requireDocker(): Promise<void> {
  try {
    await run('docker', ['compose', 'version'])
  } catch {
    throw new UserError(
      'This needs Docker with its compose plugin: see https://docs.docker.com/compose/install.',
    )
  }
  try {
    await run('docker', ['version', '--format', '{{.Server.Version}}'])
  } catch {
    throw new UserError(
      'No Docker engine answers: start Docker (and check that you have permission to use it), then try again.',
    )
  }
}

/** Removes the stack if this process dies before it has written a line to the guard ("done"). */
function spawnDownGuard(project: string): ChildProcess {
  const script = 'read line && exit; docker compose -p "$0" down --volumes --remove-orphans --timeout 1'
  return spawnWatcher(script, project)
}

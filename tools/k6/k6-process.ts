import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants } from 'node:fs'
import { freemem } from 'node:os'
import { delimiter, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** A k6 that can be started. */
export interface K6 {
  /** For people: which one it is. */
  name: string
  command: string
  /** Before `run ...`. */
  args: string[]
  /** The folder of the scripts, as this k6 sees it. */
  scripts: string
}

const SCRIPTS = fileURLToPath(new URL('../../k6', import.meta.url))
/** The image pinned here takes the same scripts as a k6 of one's own. */
const IMAGE = 'grafana/k6:2.2.0'

/**
 * The k6 of the variable K6, else of PATH, else of the container image (K6_IMAGE names another one).
 * @throws one sentence: there is none, or it is too old for scripts in TypeScript
 */
export function findK6(env: NodeJS.ProcessEnv): K6 {
  const command = env.K6 || onPath('k6', env.PATH)
  if (command !== undefined) {
    const { stdout, error } = spawnSync(command, ['version'], { encoding: 'utf8' })
    if (error !== undefined) throw new Error(`${command} cannot be run: ${error.message}`)
    const version = /v(\d+)\.[\d.]+/.exec(stdout)
    if (Number(version?.[1] ?? 0) < 1)
      throw new Error(`${command} is not k6 1.0 or later: update it, or let K6 name another one.`)
    return { name: `k6 ${version?.[0]} (${command})`, command, args: [], scripts: SCRIPTS }
  }
  const engine = spawnSync('docker', ['version', '--format', '{{.Server.Version}}'], { timeout: 10_000 })
  if (engine.status !== 0) {
    throw new Error(
      'k6 is not on PATH, and no Docker engine answers: install k6 (https://grafana.com/docs/k6/latest/set-up/install-k6/) or start Docker.',
    )
  }
  const image = env.K6_IMAGE || IMAGE
  return { name: `the container ${image}`, command: 'docker', args: containerArgs(image), scripts: '/k6' }
}

/**
 * For the Go runtime: k6 collects its garbage only when it has taken half of the free memory. To collect that of 1,000
 * VUs takes half a second of two cores, in which k6 is late and drops what was due (https://go.dev/doc/gc-guide).
 */
function memoryEnv(): Record<string, string> {
  const bytes = Math.max(1024 ** 3, Math.floor(freemem() / 2))
  return { GOGC: 'off', GOMEMLIMIT: String(bytes) }
}

function containerArgs(image: string): string[] {
  // The scripts may be readable to their owner alone; root's container keeps the user of the image.
  const uid = process.getuid?.() ?? 0
  const user = uid === 0 ? [] : ['--user', `${uid}:${process.getgid?.() ?? uid}`]
  const mount = ['--volume', `${SCRIPTS}:/k6:ro`]
  const memory = Object.entries(memoryEnv()).flatMap(([name, value]) => ['--env', `${name}=${value}`])
  return ['run', '--rm', '--network', 'host', ...user, ...mount, ...memory, image]
}

function onPath(name: string, path = ''): string | undefined {
  return path
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK)
        return true
      } catch {
        return false
      }
    })
}

/** What to run, and where its lines go. */
export interface K6Run {
  script: string
  /** The settings of the script. */
  settings: Record<string, string>
  onOut: (line: string) => void
  onErr: (line: string) => void
}

/** A k6 that runs. */
export interface RunningK6 {
  /** Its exit code, when all its lines were handed on. */
  done: Promise<number>
  /** Ends it in order; the second time at once. */
  interrupt: () => void
}

/** Starts k6 with a script. */
export function startK6(k6: K6, { script, settings, onOut, onErr }: K6Run): RunningK6 {
  const env = Object.entries(settings).flatMap(([name, value]) => ['--env', `${name}=${value}`])
  const options = ['--no-color', '--no-usage-report', '--address', '']
  const child = spawn(k6.command, [...k6.args, 'run', ...options, ...env, `${k6.scripts}/${script}.ts`], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...memoryEnv(), ...process.env },
    // Ctrl-C in a terminal reaches the whole process group, and a second signal ends k6 without a summary: it gets its
    // signals from here only.
    detached: true,
  })
  return {
    done: Promise.all([endOf(child), lines(child.stdout, onOut), lines(child.stderr, onErr)]).then(
      ([code]) => code,
    ),
    interrupt: () => child.kill('SIGINT'),
  }
}

async function endOf(child: ChildProcess): Promise<number> {
  const [code] = (await once(child, 'exit')) as [number | null]
  return code ?? 1
}

async function lines(stream: NodeJS.ReadableStream, take: (line: string) => void): Promise<void> {
  for await (const line of createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY })) take(line)
}

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants } from 'node:fs'
import { freemem } from 'node:os'
import { delimiter, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** How to start k6. */
export interface K6 {
  /** A description for messages. */
  name: string
  command: string
  /** Arguments before `run ...`. */
  args: string[]
  /** The directory of the scripts, as seen by this k6. */
  scripts: string
}

const SCRIPTS = fileURLToPath(new URL('../../k6', import.meta.url))
/** Used if k6 is not installed. */
const IMAGE = 'grafana/k6:2.2.0'

/**
 * Finds k6: the command in the variable K6, or on PATH, or else the container image (K6_IMAGE or the default).
 *
 * @throws if there is none, or it is too old for scripts in TypeScript
 */
export function findK6(env: NodeJS.ProcessEnv): K6 {
  const command = env.K6 || onPath('k6', env.PATH)
  if (command !== undefined) {
    const { stdout, error } = spawnSync(command, ['version'], { encoding: 'utf8' })
    if (error !== undefined) throw new Error(`${command} cannot be run: ${error.message}`)
    const version = /v(\d+)\.[\d.]+/.exec(stdout)
    if (Number(version?.[1] ?? 0) < 1)
      throw new Error(`${command} is not k6 1.0 or later: update it, or set K6 to another one.`)
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
 * Environment for the Go runtime: k6 collects garbage only when it uses half of the free memory. With 1,000 VUs a
 * collection takes half a second on two cores, in which k6 is late and drops iterations (https://go.dev/doc/gc-guide).
 */
function memoryEnv(): Record<string, string> {
  const bytes = Math.max(1024 ** 3, Math.floor(freemem() / 2))
  return { GOGC: 'off', GOMEMLIMIT: String(bytes) }
}

function containerArgs(image: string): string[] {
  // The scripts may be readable only by their owner. Under root, the container keeps the image's user.
  const uid = process.getuid?.() ?? 0
  const user = uid === 0 ? [] : ['--user', `${uid}:${process.getgid?.() ?? uid}`]
  const mount = ['--volume', `${SCRIPTS}:/k6:ro`]
  const memory = Object.entries(memoryEnv()).flatMap(([name, value]) => ['--env', `${name}=${value}`])
  // Without its value, which is in the environment: others can read a command line.
  const key = ['--env', 'API_KEY']
  return ['run', '--rm', '--network', 'host', ...user, ...mount, ...memory, ...key, image]
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

/** A script to run and the receivers of its output. */
export interface K6Run {
  script: string
  /** Settings for the script. */
  settings: Record<string, string>
  /** Given to the script as the variable API_KEY, not on the command line. */
  key: string | undefined
  onOut: (line: string) => void
  onErr: (line: string) => void
}

/** A running k6. */
export interface RunningK6 {
  /** Resolves with the exit code after all lines have been passed on. */
  done: Promise<number>
  /** Stops it in order; called again, at once. */
  interrupt: () => void
}

/** Starts k6 with a script. */
export function startK6(k6: K6, { script, settings, key, onOut, onErr }: K6Run): RunningK6 {
  const env = Object.entries(settings).flatMap(([name, value]) => ['--env', `${name}=${value}`])
  const options = ['--no-color', '--no-usage-report', '--address', '', '--include-system-env-vars']
  const child = spawn(k6.command, [...k6.args, 'run', ...options, ...env, `${k6.scripts}/${script}.ts`], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...memoryEnv(), ...process.env, ...(key === undefined ? {} : { API_KEY: key }) },
    // Ctrl-C in a terminal signals the whole process group, and a second signal ends k6 without a summary. In its own
    // group, k6 receives signals only from us.
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

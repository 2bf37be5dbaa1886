import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import pg from 'pg'
import { freePorts } from '../../embedded/ports.ts'
import { ask } from '../../tools/stack/ask.ts'
import { createDatabase } from './databases.ts'
import { ended, type Ended, ROOT, runFirehose } from './run-firehose.ts'
import { until } from './until.ts'

/* `firehose maintain` in its own process, once or as a service, and the database that it maintains. */

/** A database of its own, and what is asked of it. */
export class Place {
  readonly url: string
  readonly env: NodeJS.ProcessEnv

  private constructor(url: string) {
    this.url = url
    this.env = { PATH: process.env.PATH, DATABASE_URL: url }
  }

  /** @param server of a superuser */
  static async create(server: string, name: string): Promise<Place> {
    return new Place(await createDatabase(server, name))
  }

  static async migrated(server: string, name: string): Promise<Place> {
    const place = await Place.create(server, name)
    assert.equal((await place.run('migrate')).code, 0)
    return place
  }

  async run(...args: string[]): Promise<Ended> {
    return await runFirehose(this.env, ...args)
  }

  async maintain(env: NodeJS.ProcessEnv = {}, ...args: string[]): Promise<Ended> {
    return await runFirehose({ ...this.env, ...env }, 'maintain', ...args)
  }

  async leaves(): Promise<number> {
    const sql = `SELECT FROM pg_inherits WHERE inhparent = 'events_era'::regclass AND inhrelid <> 'events_stray'::regclass`
    return (await ask(this.url, sql)).length
  }
}

/** `firehose maintain --every 1s` in its own process. */
export class Service {
  readonly url: string
  readonly #child: ChildProcess
  readonly #ended: Promise<Ended>

  private constructor(child: ChildProcess, port: number) {
    this.url = `http://127.0.0.1:${port}`
    this.#child = child
    this.#ended = ended(child)
  }

  static async start(place: Place): Promise<Service> {
    const [port = 0] = await freePorts(1)
    return new Service(spawnMaintain({ ...place.env, MAINTAIN_PORT: String(port) }, ['--every', '1s']), port)
  }

  /** Waits for an answer of this status that matches. */
  async says(path: string, status: number, pattern: RegExp): Promise<void> {
    let last = ''
    try {
      await until(`${path} says ${pattern}`, async () => {
        const answer = await fetch(this.url + path).catch(() => undefined)
        last = `${answer?.status} ${(await answer?.text()) ?? ''}`
        return last.startsWith(`${status} `) && pattern.test(last)
      })
    } catch (error) {
      throw new Error(`last answer: ${last}`, { cause: error })
    }
  }

  /** @returns its exit code after SIGTERM */
  async end(): Promise<number | null> {
    this.#child.kill('SIGTERM')
    return (await this.#ended).code
  }
}

/** A process that is killed if it does not end by itself. */
export function spawnMaintain(env: NodeJS.ProcessEnv, args: readonly string[], root = ROOT): ChildProcess {
  const argv = ['--disable-warning=TimeoutNegativeWarning', 'cli/firehose.ts', 'maintain', ...args]
  const limit = { timeout: 40_000, killSignal: 'SIGKILL' } as const
  return spawn(process.execPath, argv, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'], ...limit })
}

/** Every run that makes a partition waits for this session. */
export async function lockStrays(place: Place): Promise<pg.Client> {
  const locker = new pg.Client({ connectionString: place.url })
  await locker.connect()
  await locker.query('BEGIN; LOCK TABLE events_stray')
  return locker
}

export async function untilWaiting(place: Place): Promise<void> {
  const sql = `SELECT FROM pg_stat_activity WHERE application_name = 'firehose-maintain' AND wait_event_type = 'Lock'`
  await until('it waits for the lock', async () => (await ask(place.url, sql)).length > 0)
}

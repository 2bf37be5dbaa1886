import type { NodeService } from '../../embedded/node-service.ts'
import type { Pipeline } from '../../tools/stack/pipeline.ts'
import { ask } from '../../tools/stack/ask.ts'
import { type Ended, runFirehose } from './run-firehose.ts'
import { until } from './until.ts'

const CREATE_LIMIT_MS = 30_000

/** The address of a database on the same server. */
export function databaseUrl(server: string, name: string): string {
  const url = new URL(server)
  url.pathname = `/${name}`
  return url.href
}

/** @param server of a role that may create databases @returns the address of the new one */
export async function createDatabase(server: string, name: string, how = ''): Promise<string> {
  await ask(server, `CREATE DATABASE ${name} ${how}`, { limitMs: CREATE_LIMIT_MS })
  return databaseUrl(server, name)
}

/**
 * A database of its own on the server of a pipeline, with a topic and a group of its own, so that it can be odd without
 * disturbing the others.
 */
export class OtherDatabase {
  readonly env: NodeJS.ProcessEnv
  readonly url: string
  readonly #pipeline: Pipeline

  constructor(pipeline: Pipeline, name: string, change: NodeJS.ProcessEnv = {}) {
    this.#pipeline = pipeline
    this.url = databaseUrl(pipeline.backend.postgres.url, name)
    this.env = {
      ...pipeline.env,
      DATABASE_URL: this.url,
      KAFKA_TOPIC: name,
      SINK_DATABASE_PASSWORD: 'secret',
      ...change,
    }
  }

  /** @param how what follows CREATE DATABASE and the name */
  static async create(
    pipeline: Pipeline,
    name: string,
    how = '',
    change: NodeJS.ProcessEnv = {},
  ): Promise<OtherDatabase> {
    await pipeline.query(`CREATE DATABASE ${name} ${how}`)
    return new OtherDatabase(pipeline, name, change)
  }

  async query<R extends Record<string, unknown>>(sql: string): Promise<R[]> {
    return await ask<R>(this.url, sql)
  }

  /** Runs `npx firehose ...` for this database. */
  async run(...args: string[]): Promise<Ended> {
    return await runFirehose(this.env, ...args)
  }

  async startApi(): Promise<NodeService> {
    return await this.#pipeline.startApi(this.env)
  }

  /** Starts a sink as the role that `migrate --sink-role firehose_sink` makes, without waiting until it is ready. */
  async spawnLeastPrivilegedSink(change: NodeJS.ProcessEnv = {}): Promise<NodeService> {
    const url = new URL(this.url)
    url.username = 'firehose_sink'
    url.password = 'secret'
    return await this.#pipeline.spawnSink({ ...this.env, DATABASE_URL: url.href, ...change })
  }

  async spawnSink(change: NodeJS.ProcessEnv = {}): Promise<NodeService> {
    return await this.#pipeline.spawnSink({ ...this.env, ...change })
  }

  /** Waits until `events` has this many rows. @param table if it is not in the search_path */
  async stored(count: number, table = 'events'): Promise<void> {
    await until(`${count} rows in ${table}`, async () => {
      const [row] = await this.query<{ count: number }>(`SELECT count(*)::int AS count FROM ${table}`)
      return row?.count === count
    })
  }
}

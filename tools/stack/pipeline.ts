import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { NodeService } from '../../embedded/node-service.ts'
import { freePorts } from '../../embedded/ports.ts'
import { sinkGroupId } from '../../kafka/sink-group.ts'
import { migrate } from '../../postgres/migrate.ts'
import { newTables } from '../../postgres/new-tables.ts'
import { type Backend, type BackendOptions, type CloseOptions, startBackend } from './backends.ts'
import { endsOf, isCaughtUp } from './caught-up.ts'
import { spawnGuard } from './guard.ts'
import { separateEnv } from './separate-env.ts'
import { type Verdict, verify } from '../verify/verify.ts'

/** The secret of a key as access/secret.ts makes it, or a JWT. */
const SECRET = /\bfh_[a-z]+_[0-9A-Za-z]{8}_[0-9A-Za-z]{20}|\beyJ[\w-]{10,}\.eyJ/

/** A complete Firehose on a backend, with each of our services in its own process, as when deployed. */
export class Pipeline {
  readonly backend: Backend
  readonly db: pg.Pool
  readonly #dir = mkdtempSync(join(tmpdir(), 'firehose-pipeline-'))
  /** Environment variables of the services. */
  readonly env: NodeJS.ProcessEnv
  readonly #guard = spawnGuard(this.#dir)
  readonly #services: NodeService[] = []
  readonly #topic: string

  private constructor(backend: Backend, env: NodeJS.ProcessEnv) {
    this.backend = backend
    this.env = {
      ...separateEnv(process.env),
      KAFKA_BOOTSTRAP_SERVERS: backend.kafka.bootstrapServers,
      DATABASE_URL: backend.postgres.url,
      KAFKA_TOPIC_PARTITIONS: '4',
      ...env,
    }
    this.#topic = this.env.KAFKA_TOPIC ?? 'events'
    this.db = new pg.Pool({ connectionString: backend.postgres.url, max: 4 })
    this.db.on('error', () => {}) // PostgreSQL is killed in some tests
  }

  /** Starts Kafka and PostgreSQL and applies the migrations. The caller starts the services. */
  static async start(env: NodeJS.ProcessEnv = {}, options: BackendOptions = {}): Promise<Pipeline> {
    return await Pipeline.on(await startBackend(options), env)
  }

  /** Uses a running backend, which close() closes, and applies the migrations. */
  static async on(backend: Backend, env: NodeJS.ProcessEnv = {}): Promise<Pipeline> {
    const pipeline = new Pipeline(backend, env)
    await migrate(backend.postgres.url, newTables(pipeline.env))
    return pipeline
  }

  /** Starts an API on a free port and waits until it is ready. */
  async startApi(env: NodeJS.ProcessEnv = {}): Promise<NodeService> {
    return await this.startService('producer-api/main.ts', 'PORT', env)
  }

  /** Starts an API without waiting until it is ready. */
  async spawnApi(env: NodeJS.ProcessEnv = {}): Promise<NodeService> {
    return await this.#spawnService('producer-api/main.ts', 'PORT', env)
  }

  /** Starts a sink without waiting until it is ready. */
  async spawnSink(env: NodeJS.ProcessEnv = {}): Promise<NodeService> {
    return await this.#spawnService('sink-worker/main.ts', 'SINK_PORT', env)
  }

  async #spawnService(main: string, portVariable: string, env: NodeJS.ProcessEnv): Promise<NodeService> {
    const service = await this.#newService(main, portVariable, env)
    service.spawn()
    return service
  }

  /** Starts a sink and waits until it is ready. */
  async startSink(env: NodeJS.ProcessEnv = {}): Promise<NodeService> {
    return await this.startService('sink-worker/main.ts', 'SINK_PORT', env)
  }

  /**
   * Starts one of our programs and waits until it is ready.
   *
   * @param main its path, absolute or relative to the project's root
   * @param portVariable the setting that is set to a free port
   */
  async startService(main: string, portVariable: string, env: NodeJS.ProcessEnv = {}): Promise<NodeService> {
    const service = await this.#newService(main, portVariable, env)
    await service.start()
    return service
  }

  async #newService(main: string, portVariable: string, env: NodeJS.ProcessEnv): Promise<NodeService> {
    const [port = 0] = await freePorts(1)
    const name = `${main.replace(/(\/main)?\.ts$/, '').replaceAll('/', '-')}-${this.#services.length}`
    const service = new NodeService({
      name,
      main,
      port,
      env: { ...this.env, ...env, [portVariable]: String(port) },
      logFile: this.path(`${name}.log`),
      pidFile: this.path(`${name}.pid`),
    })
    this.#services.push(service)
    return service
  }

  async query<R extends pg.QueryResultRow>(sql: string, values?: unknown[]): Promise<R[]> {
    return (await this.db.query<R>(sql, values)).rows
  }

  /** Number of rows in `events`. */
  async countEvents(): Promise<number> {
    const [row] = await this.query<{ count: string }>('SELECT count(*) FROM events')
    return Number(row?.count)
  }

  /** Whether the sink has stored every record of the topic. */
  async isCaughtUp(): Promise<boolean> {
    return await isCaughtUp([this.backend.kafka.bootstrapServers], this.db, this.#topic)
  }

  /** The end offset of each partition. */
  async ends(topic = this.#topic): Promise<bigint[]> {
    return await endsOf([this.backend.kafka.bootstrapServers], topic)
  }

  /** The consumer group of its sinks. */
  get groupId(): string {
    return sinkGroupId(this.#topic, this.env.KAFKA_GROUP_ID)
  }

  /** Its data directories: Kafka's and PostgreSQL's, if on this machine, and the one with logs and files of path(). */
  get dirs(): string[] {
    return [this.backend.dir, this.#dir].filter((dir) => dir !== undefined)
  }

  /** Path of a file in the pipeline's directory. */
  path(name: string): string {
    return join(this.#dir, name)
  }

  /** Compares Kafka, and the acknowledged events if given, with the tables. */
  async verify(ackedFile?: string): Promise<Verdict> {
    return await verify({
      databaseUrl: this.backend.postgres.url,
      kafkaBootstrapServers: this.backend.kafka.bootstrapServers,
      topic: this.#topic,
      groupId: this.groupId,
      ...(ackedFile === undefined ? {} : { ackedFile }),
    })
  }

  /** Whatever was done with the services: no log may hold the secret of a key, or a token. */
  #logsWithSecrets(): string[] {
    const logs = readdirSync(this.#dir).filter((name) => name.endsWith('.log'))
    return logs.filter((name) => SECRET.test(readFileSync(this.path(name), 'latin1')))
  }

  /** Stops everything and removes the data, unless `keep` is set. */
  async close({ keep }: CloseOptions = { keep: false }): Promise<void> {
    await Promise.all(this.#services.map(async (service) => await service.kill()))
    // Not awaited yet: a query to a frozen PostgreSQL ends only when the backend is closed.
    const ended = this.db.end().catch(() => {})
    await this.backend.close({ keep })
    await ended
    if (keep) {
      this.#guard.stdin?.end('keep\n')
      return
    }
    const secrets = this.#logsWithSecrets()
    rmSync(this.#dir, { recursive: true, force: true })
    this.#guard.stdin?.end()
    if (secrets.length > 0) throw new Error(`secrets of keys, or tokens, are in ${secrets.join(', ')}`)
  }
}

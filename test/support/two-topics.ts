import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { type Consumer, type PartitionAssigner } from 'kafkajs'
import { Client } from 'pg'
import type { NodeService } from '../../embedded/node-service.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { type Verdict, verify } from '../../tools/verify/verify.ts'
import { migrate } from '../../postgres/migrate.ts'
import { diagnose, type Diagnosis } from './diagnosis.ts'
import { joinGroup } from './group-members.ts'

type Settings = Record<string, string>

/**
 * Two installations on one Kafka in the same consumer group: `ours` with the pipeline's database, `theirs` with another
 * topic and another database. Topics and group are new in each test.
 */
export class TwoTopics {
  readonly pipeline: Pipeline
  readonly kafka: string
  readonly #otherUrl: string
  readonly #otherDb: Client
  readonly #services: NodeService[] = []
  readonly #strangers: Consumer[] = []
  #tests = 0

  private constructor(pipeline: Pipeline, otherUrl: string) {
    this.pipeline = pipeline
    this.kafka = pipeline.backend.kafka.bootstrapServers
    this.#otherUrl = otherUrl
    this.#otherDb = new Client({ connectionString: otherUrl })
  }

  static async start(env: Settings): Promise<TwoTopics> {
    const pipeline = await Pipeline.start(env)
    await pipeline.query('CREATE DATABASE other')
    const url = new URL(pipeline.backend.postgres.url)
    url.pathname = '/other'
    await migrate(url.href)
    const stack = new TwoTopics(pipeline, url.href)
    await stack.#otherDb.connect()
    return stack
  }

  get topic(): string {
    return `events-${this.#tests}`
  }

  get other(): string {
    return `orders-${this.#tests}`
  }

  get group(): string {
    return `shared-${this.#tests}`
  }

  get ours(): Settings {
    return { KAFKA_TOPIC: this.topic, KAFKA_GROUP_ID: this.group }
  }

  get theirs(): Settings {
    return { KAFKA_TOPIC: this.other, KAFKA_GROUP_ID: this.group, DATABASE_URL: this.#otherUrl }
  }

  /** Call before each test. */
  async begin(): Promise<TwoTopics> {
    this.#tests += 1
    await this.pipeline.query('TRUNCATE events, dead_letters, sink_offsets')
    await this.#otherDb.query('TRUNCATE events, dead_letters, sink_offsets')
    return this
  }

  /** Call after each test: stops everything that it started. */
  async end(): Promise<void> {
    await Promise.all(this.#strangers.splice(0).map(async (stranger) => await stranger.disconnect()))
    await Promise.all(this.#services.splice(0).map(async (service) => await service.stop(10_000)))
  }

  async close(): Promise<void> {
    await this.#otherDb.end()
    await this.pipeline.close()
  }

  /** Starts an API, which creates the topic. */
  async startApi(env: Settings): Promise<NodeService> {
    return this.#started(await this.pipeline.startApi(env))
  }

  async startSink(env: Settings): Promise<NodeService> {
    return this.#started(await this.pipeline.startSink(env))
  }

  /** Starts a sink without waiting until it is ready. */
  async spawnSink(env: Settings): Promise<NodeService> {
    return this.#started(await this.pipeline.spawnSink(env))
  }

  /** Joins the group as another program. */
  async join(topics: string[], assigner?: PartitionAssigner): Promise<Consumer> {
    const stranger = await joinGroup(this.kafka, this.group, topics, assigner)
    this.#strangers.push(stranger)
    return stranger
  }

  async otherRows(): Promise<number> {
    return Number((await this.#otherDb.query('SELECT count(*) FROM events')).rows[0]?.count)
  }

  /** Number of rows of ours (0) or theirs (1). */
  async rowsOf(installation: 0 | 1): Promise<number> {
    return installation === 0 ? await this.pipeline.countEvents() : await this.otherRows()
  }

  /** The end offset of each of our partitions. */
  async partitionEnds(): Promise<Map<number, number>> {
    const ends = await this.pipeline.ends(this.topic)
    return new Map(ends.map((end, partition) => [partition, Number(end)]))
  }

  logOf({ name }: NodeService): string {
    return readFileSync(this.pipeline.path(`${name}.log`), 'utf8')
  }

  /** How often partitions were assigned to the sink. */
  joinsOf(sink: NodeService): number {
    return this.logOf(sink).split('"partitions assigned"').length - 1
  }

  /** Runs `npx firehose doctor` for the group and the sink. */
  async doctor(env: Settings, sink: NodeService): Promise<Diagnosis> {
    const options = ['--check', 'group', '--check', 'sink', '--sink', sink.url]
    return await diagnose({ ...this.pipeline.env, ...env }, options)
  }

  async verdict(env: Settings): Promise<Verdict> {
    const { KAFKA_TOPIC = '', KAFKA_GROUP_ID = '', DATABASE_URL = this.pipeline.backend.postgres.url } = env
    return await verify({
      databaseUrl: DATABASE_URL,
      kafkaBootstrapServers: this.kafka,
      topic: KAFKA_TOPIC,
      ...(KAFKA_GROUP_ID === '' ? {} : { groupId: KAFKA_GROUP_ID }),
    })
  }

  /** Runs `npx firehose verify`. */
  async verifyCommand(env: Settings): Promise<{ code: number; out: string }> {
    return await new Promise((resolve) => {
      const options = { env: { ...this.pipeline.env, ...env } }
      execFile(process.execPath, ['cli/firehose.ts', 'verify'], options, (error, out) => {
        resolve({ code: error === null ? 0 : Number(error.code), out })
      })
    })
  }

  #started(service: NodeService): NodeService {
    this.#services.push(service)
    return service
  }
}

import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import { isCaughtUp } from '../../tools/stack/caught-up.ts'
import { ComposeStack } from '../../tools/stack/compose.ts'
import { healthOf, type SinkHealth } from '../../tools/stack/sink-health.ts'
import { type Verdict, verify } from '../../tools/verify/verify.ts'
import { until } from './until.ts'

const TOPIC = 'events'
const run = promisify(execFile)

/** Runs docker. @returns its output */
export async function docker(...args: string[]): Promise<string> {
  return (await run('docker', args)).stdout.trim()
}

/** The health status of a container. */
export async function containerHealth(id: string): Promise<string> {
  return await docker('inspect', '--format', '{{.State.Health.Status}}', id)
}

/** A compose stack with helpers for tests. */
export class StackUnderTest {
  readonly stack: ComposeStack
  readonly db: pg.Pool
  readonly #dir = mkdtempSync(join(tmpdir(), 'firehose-compose-'))

  private constructor(stack: ComposeStack) {
    this.stack = stack
    this.db = new pg.Pool({ connectionString: stack.databaseUrl, max: 2 })
    this.db.on('error', () => {}) // PostgreSQL is stopped in some tests
  }

  static async up(options: Parameters<typeof ComposeStack.up>[0] = {}): Promise<StackUnderTest> {
    return new StackUnderTest(await ComposeStack.up(options))
  }

  /** Path of a temporary file of the test. */
  path(name: string): string {
    return join(this.#dir, name)
  }

  async query<R extends pg.QueryResultRow>(sql: string): Promise<R[]> {
    return (await this.db.query<R>(sql)).rows
  }

  /** /health of each sink that answers. */
  async sinkHealth(): Promise<SinkHealth[]> {
    return await healthOf(await this.stack.sinkUrls())
  }

  /** Rows stored since their start by all sinks that answer. */
  async storedBySinks(): Promise<number> {
    return (await this.sinkHealth()).reduce((sum, { total_stored }) => sum + total_stored, 0)
  }

  /** Waits until the sinks have caught up, and compares Kafka and the acknowledged events with the tables. */
  async verdict(ackedFile: string): Promise<Verdict> {
    const brokers = [this.stack.kafkaBootstrapServers]
    await until(
      'the sinks have caught up',
      async () => await isCaughtUp(brokers, this.db, TOPIC).catch(() => false),
      90_000,
    )
    return await verify({
      databaseUrl: this.stack.databaseUrl,
      kafkaBootstrapServers: this.stack.kafkaBootstrapServers,
      topic: TOPIC,
      ackedFile,
    })
  }

  async close(): Promise<void> {
    await this.db.end().catch(() => {})
    await this.stack.down()
    rmSync(this.#dir, { recursive: true, force: true })
  }
}

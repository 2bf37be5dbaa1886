import assert from 'node:assert/strict'
import type { CheckName, Finding } from '../../doctor/finding.ts'
import { connect } from '../../postgres/connect.ts'
import { partitionNewTable } from '../../postgres/partitions/create-tree.ts'
import { type Leaf, readLayout, type Tree } from '../../postgres/partitions/tree.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { diagnose } from './diagnosis.ts'
import { runFirehose } from './run-firehose.ts'

const DAY_MS = 86_400_000
const ALL: readonly CheckName[] = [
  'partitions',
  'maintenance',
  'event-retention',
  'event-ids',
  'indexes',
  'user-search',
  'tables',
  'rights',
  'locks',
]

interface Look {
  checks?: readonly CheckName[]
  env?: NodeJS.ProcessEnv
  options?: readonly string[]
}

/**
 * An installation whose `events` is a tree, for tests of the doctor. No topic exists before an API is started, because the
 * doctor is faster then.
 */
export class TreeBench {
  readonly pipeline: Pipeline

  private constructor(pipeline: Pipeline) {
    this.pipeline = pipeline
  }

  /** @param ageDays how long ago it was installed; maintenance has never run since */
  static async open(ageDays: number): Promise<TreeBench> {
    const pipeline = await Pipeline.start({
      KAFKA_TOPIC_PARTITIONS: '1',
      EVENTS_PARTITION: 'none',
      SINK_DATABASE_PASSWORD: 'secret',
    })
    const client = await connect(pipeline.backend.postgres.url, () => ({}))
    await client.query('BEGIN')
    await partitionNewTable(client, 'day', 'immediate', Date.now() - ageDays * DAY_MS)
    await client.query('COMMIT')
    await client.end()
    return new TreeBench(pipeline)
  }

  async tree(): Promise<Tree> {
    const layout = await readLayout(this.pipeline.db)
    assert.ok(layout.kind === 'tree')
    return layout
  }

  /** The leaf of now, or of so many days later. */
  async leaf(days = 0): Promise<Leaf> {
    const atMs = Date.now() + days * DAY_MS
    const found = (await this.tree()).leaves.find(({ fromMs, toMs }) => fromMs <= atMs && atMs < toMs)
    assert.ok(found, `a partition of ${days} days from now`)
    return found
  }

  /** Stores rows whose ids are made by an expression. */
  async insert(count: number, id = 'uuidv7()'): Promise<void> {
    await this.pipeline.query(
      `INSERT INTO events (event_id, user_id, "timestamp", metadata, received_at)
       SELECT ${id}, 7, now(), '{}', clock_timestamp() FROM generate_series(1, $1)`,
      [count],
    )
  }

  /** What the doctor finds wrong, or notes. Without a topic, it knows nothing of its retention. */
  async found({ checks = ALL, env = {}, options = [] }: Look = {}): Promise<Finding[]> {
    const chosen = checks.flatMap((name) => ['--check', name])
    const { findings, words } = await diagnose({ ...this.pipeline.env, ...env }, [...chosen, ...options])
    assert.ok(findings.length >= checks.length, words)
    return findings.filter(
      ({ level, check }) => level !== 'ok' && !(level === 'unknown' && check === 'event-retention'),
    )
  }

  /** The only finding. */
  async theOnly(look?: Look): Promise<Finding> {
    const findings = await this.found(look)
    assert.equal(findings.length, 1, JSON.stringify(findings, null, 2))
    return findings[0]!
  }

  /** Applies the statements in a remedy that begin like this. */
  async applySql({ mend = '' }: Finding, beginning: string): Promise<void> {
    for (const statement of statementsIn(mend, beginning)) await this.pipeline.query(statement)
  }

  /** Runs the command at the beginning of a remedy, which must succeed. */
  async applyCommand({ mend = '' }: Finding, env: NodeJS.ProcessEnv = {}): Promise<void> {
    const [, words = ''] = /npx firehose (maintain --once)\b/.exec(mend) ?? []
    assert.notEqual(words, '', mend)
    const { code, out, err } = await runFirehose({ ...this.pipeline.env, ...env }, ...words.split(' '))
    assert.equal(code, 0, out + err)
  }
}

/** The statements of a remedy that begin like this. */
export function statementsIn(mend: string, beginning: string): string[] {
  const statements = mend.match(new RegExp(`${beginning}[^;]*;`, 'g')) ?? []
  assert.ok(statements.length > 0, `no "${beginning}" in: ${mend}`)
  return statements
}

/** Has PostgreSQL believe that a table has so many rows. */
export async function pretendRows(
  db: { query: (sql: string) => Promise<unknown> },
  table: string,
  rows: number,
): Promise<void> {
  await db.query(
    `SELECT pg_restore_relation_stats('schemaname', 'public', 'relname', '${table}', 'reltuples', ${rows}::real,
       'relpages', (pg_relation_size('${table}') / 8192)::int)`,
  )
}

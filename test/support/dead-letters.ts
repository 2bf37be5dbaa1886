import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import pg from 'pg'
import type { NodeService } from '../../embedded/node-service.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { idOf, kafkaClient, record, withProducer } from './records.ts'
import { until } from './until.ts'

/** Exit code and output of `npx firehose dlq`. */
interface Ended {
  code: number | null
  out: string
  err: string
}

interface Started {
  child: ChildProcess
  ended: Promise<Ended>
  /** The output on stderr so far. */
  said: () => string
}

/** A pipeline of one partition with a sink, for creating dead letters and running `npx firehose dlq`. */
export class DeadLetterBench {
  readonly pipeline: Pipeline
  readonly sink: NodeService

  private constructor(pipeline: Pipeline, sink: NodeService) {
    this.pipeline = pipeline
    this.sink = sink
  }

  static async open(): Promise<DeadLetterBench> {
    const pipeline = await Pipeline.start({ KAFKA_TOPIC_PARTITIONS: '1', FETCH_MAX_WAIT_MS: '50' })
    return new DeadLetterBench(pipeline, await pipeline.startSink())
  }

  /** Deletes all records, dead letters and rows; offsets continue. */
  async clear(): Promise<void> {
    await until('the sink has read everything', async () => await this.pipeline.isCaughtUp())
    await this.pipeline.query('TRUNCATE events, dead_letters, dead_letter_history')
    await this.forgetRecordsBefore('-1')
  }

  /** Starts the command with a long database timeout, so that it can wait for locks held by a test. */
  start(args: string[], more: NodeJS.ProcessEnv = {}): Started {
    const env = { ...this.pipeline.env, DATABASE_TIMEOUT_MS: '120000', ...more }
    const child = spawn(
      process.execPath,
      ['--disable-warning=TimeoutNegativeWarning', 'cli/firehose.ts', 'dlq', ...args],
      {
        env,
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    )
    let out = ''
    let err = ''
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()))
    const ended = new Promise<Ended>((resolve) => child.on('close', (code) => resolve({ code, out, err })))
    return { child, ended, said: () => err }
  }

  /** Runs the command to its end. */
  async dlq(...args: string[]): Promise<Ended> {
    return await this.start(args).ended
  }

  async send(...values: (string | Buffer)[]): Promise<void> {
    await withProducer(this.pipeline.backend.kafka.bootstrapServers, async (produce) => {
      await produce(values.map((value) => ({ value, partition: 0 })))
    })
  }

  /** Deletes records, as retention would; -1 for all. */
  async forgetRecordsBefore(offset: string): Promise<void> {
    const admin = kafkaClient(this.pipeline.backend.kafka.bootstrapServers).admin()
    await admin.connect()
    await admin.fetchTopicMetadata({ topics: ['events'] }) // required by deleteTopicRecords
    await admin.deleteTopicRecords({ topic: 'events', partitions: [{ partition: 0, offset }] })
    await admin.disconnect()
  }

  /** Waits until there are this many dead letters. */
  async letters(count: number): Promise<void> {
    await until(`${count} dead letters`, async () => (await this.states()).total === count)
  }

  /** Number of dead letters in each state. */
  async states(): Promise<{ total: number; open: number; replayed: number; discarded: number }> {
    const [row] = await this.pipeline.query<{
      total: number
      open: number
      replayed: number
      discarded: number
    }>(
      `SELECT count(*)::int AS total, count(*) FILTER (WHERE state = 'open')::int AS open,
         count(*) FILTER (WHERE state = 'replayed')::int AS replayed,
         count(*) FILTER (WHERE state = 'discarded')::int AS discarded FROM dead_letters`,
    )
    assert.ok(row)
    return row
  }

  /** The cluster as the sink knows it. */
  async clusterId(): Promise<string> {
    const [row] = await this.pipeline.query<{ cluster_id: string }>('SELECT cluster_id FROM sink_offsets')
    return row?.cluster_id ?? ''
  }

  /** The lowest offset of the dead letters. */
  async firstOffset(): Promise<string> {
    const [row] = await this.pipeline.query<{ offset: string }>(
      'SELECT min("offset") AS "offset" FROM dead_letters',
    )
    return row?.offset ?? 'none'
  }

  /** The distinct entries of the history, with their counts. */
  async history(): Promise<string[]> {
    const rows = await this.pipeline.query<{ line: string }>(
      `SELECT concat_ws(' ', action, outcome, reason, sqlstate) || ' x' || count(*) AS line FROM dead_letter_history
       GROUP BY action, outcome, reason, sqlstate ORDER BY 1`,
    )
    return rows.map(({ line }) => line)
  }

  /** Dead-letters the events in [from, from + count) with a trigger, and then drops it, so that they can be replayed. */
  async deadLetter(from: number, count: number, value = (n: number): string => record(n)): Promise<void> {
    await this.pipeline.query(`
      CREATE OR REPLACE FUNCTION keep_out() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
      CREATE TRIGGER keep_out BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION keep_out()`)
    const { total } = await this.states()
    await this.send(...Array.from({ length: count }, (_, index) => value(from + index)))
    await this.letters(total + count)
    await this.pipeline.query('DROP TRIGGER keep_out ON events')
  }

  /** Asserts that each event in [from, from + count) is stored once with its own content. */
  async assertStored(from: number, count: number): Promise<void> {
    const [row] = await this.pipeline.query<{ rows: number; right: number }>(
      `SELECT count(*)::int AS rows, count(*) FILTER (WHERE user_id::text = ltrim(right(event_id::text, 12), '0')
         AND metadata = jsonb_build_object('page', '/p/' || user_id))::int AS right
       FROM events WHERE user_id >= $1 AND user_id < $1 + $2`,
      [from, count],
    )
    assert.deepEqual(row, { rows: count, right: count })
  }

  /** Stops the sink and rewinds its offset to the first dead letter. */
  async rewindSink(): Promise<void> {
    await this.sink.stop(10_000)
    await this.pipeline.query(
      'UPDATE sink_offsets SET next_offset = $1, last_offset = NULL, last_digest = NULL',
      [await this.firstOffset()],
    )
  }

  /** Runs statements in a transaction that stays open until commit() or release(), which rolls it back. */
  async hold(sql: string): Promise<{ release: () => Promise<void>; commit: () => Promise<void> }> {
    const client = new pg.Client({ connectionString: this.pipeline.backend.postgres.url })
    client.on('error', () => {})
    await client.connect()
    await client.query(`BEGIN; ${sql}`)
    const release = async (): Promise<void> => await client.end()
    const commit = async (): Promise<void> => {
      await client.query('COMMIT')
      await release()
    }
    return { release, commit }
  }

  /** Inserts an event without committing: other inserts of it wait until release(), which rolls it back. */
  async holdEvent(n: number): Promise<{ release: () => Promise<void> }> {
    return await this.hold(`INSERT INTO events VALUES ('${idOf(n)}', 0, now(), '{}', now())`)
  }

  async commandWaits(): Promise<void> {
    await until('a command that waits for a lock', async () => {
      const rows = await this.pipeline.query(
        `SELECT 1 FROM pg_stat_activity WHERE application_name = 'firehose-dlq' AND wait_event_type = 'Lock'`,
      )
      return rows.length > 0
    })
  }

  /** Waits until the session of a killed replay is gone. */
  async noReplay(): Promise<void> {
    await until('no session of a replay', async () => {
      const rows = await this.pipeline.query(
        `SELECT 1 FROM pg_stat_activity WHERE application_name = 'firehose-dlq'`,
      )
      return rows.length === 0
    })
  }
}

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { NodeService } from '../../embedded/node-service.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { diagnose } from '../support/diagnosis.ts'
import { runFirehose } from '../support/run-firehose.ts'
import {
  assertDrained,
  healthOf,
  leastPrivilegedUrl,
  pausedBy,
  postEvents,
  range,
  SHORT_TIMEOUTS,
} from '../support/sink-faults.ts'

/*
 * What users do to `events`, and what then keeps a sink with the least privileges from storing. Each remedy is taken from
 * the message that names it, and applied.
 */

let pipeline: Pipeline
let api: NodeService
let sink: NodeService
let next = 0

before(async () => {
  pipeline = await Pipeline.start({
    KAFKA_TOPIC_PARTITIONS: '1',
    SINK_DATABASE_PASSWORD: 'secret',
    ...SHORT_TIMEOUTS,
  })
  api = await pipeline.startApi()
  sink = await pipeline.startSink({ DATABASE_URL: await leastPrivilegedUrl(pipeline) })
})
after(async () => {
  await pipeline?.close()
})

/** `npx firehose migrate --sink-role`, which the message names instead of a statement. */
const MIGRATE = 'migrate'

interface Case {
  what: string
  damage: string
  /** A duplicate is needed to see it. */
  needsDuplicate?: true
  /** What the sink reports. */
  reason: RegExp
  /** The doctor's finding: level and text. */
  finding: [level: string, text: RegExp]
  /** The remedy: MIGRATE, or what it begins with in the message of the sink, or of the doctor. */
  remedy: string
  from?: 'doctor'
  /** Undoes what the remedy has not. */
  tidy: string
}

const VIEW = 'ALTER TABLE events RENAME TO stored; CREATE VIEW events AS SELECT * FROM stored'
const FOREIGN = `ALTER TABLE events RENAME TO stored; CREATE FOREIGN DATA WRAPPER none; CREATE SERVER none FOREIGN DATA WRAPPER none;
  CREATE FOREIGN TABLE events (event_id uuid, user_id bigint, "timestamp" timestamptz, metadata jsonb, received_at timestamptz) SERVER none`
const AUDIT = `CREATE TABLE audit (id bigserial, event_id uuid);
  CREATE FUNCTION audit_row() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO audit (event_id) VALUES (NEW.event_id); RETURN NEW; END $$;
  CREATE TRIGGER audit_events AFTER INSERT ON events FOR EACH ROW EXECUTE FUNCTION audit_row()`
const NO_AUDIT = 'DROP TRIGGER audit_events ON events; DROP FUNCTION audit_row(); DROP TABLE audit'
const audit = {
  what: 'a trigger writes another table',
  damage: AUDIT,
  reason: /permission denied for table audit \(42501\): grant it to the role\. .* SECURITY DEFINER/,
  finding: [
    'warning',
    /The trigger audit_events of "events" seems to need INSERT on audit and USAGE on sequence audit_id_seq, which the role firehose_sink lacks/,
  ],
  from: 'doctor',
  tidy: NO_AUDIT,
} as const
const security = (table: string) => ({
  what: `row-level security on ${table}`,
  damage: `ALTER TABLE ${table} ENABLE ROW LEVEL SECURITY`,
  reason: new RegExp(
    `row-level security hides rows of "${table}" from the role firehose_sink, .*: ALTER TABLE`,
  ),
  finding: [
    'critical',
    new RegExp(`Row-level security hides rows of "${table}" from the role firehose_sink`),
  ] as [string, RegExp],
  tidy: `ALTER TABLE ${table} DISABLE ROW LEVEL SECURITY; ALTER ROLE firehose_sink NOBYPASSRLS`,
})
const serial = {
  what: 'a serial column',
  damage: 'ALTER TABLE events ADD COLUMN seq bigserial',
  reason: /the role firehose_sink lacks USAGE on sequence events_seq_seq: GRANT/,
  finding: ['critical', /The role firehose_sink lacks USAGE on sequence events_seq_seq/],
  tidy: 'ALTER TABLE events DROP COLUMN seq',
} as const
const rights = {
  what: 'privileges are revoked',
  damage:
    'REVOKE INSERT, SELECT ON events FROM firehose_sink; REVOKE UPDATE ON sink_offsets FROM firehose_sink',
  reason: /the role firehose_sink lacks .*INSERT on events/,
  finding: ['critical', /The role firehose_sink lacks .*UPDATE on sink_offsets/],
  tidy: '',
} as const
const schema = {
  what: 'the schema may not be used',
  damage: 'REVOKE USAGE ON SCHEMA public FROM PUBLIC, firehose_sink',
  reason: /the role firehose_sink cannot see the tables in the schema "public": GRANT/,
  finding: ['critical', /The role firehose_sink lacks USAGE on schema public/],
  tidy: 'GRANT USAGE ON SCHEMA public TO PUBLIC',
} as const

const cases: Case[] = [
  { ...security('events'), remedy: 'ALTER TABLE' },
  { ...security('events'), remedy: 'ALTER ROLE' },
  { ...security('sink_offsets'), remedy: 'ALTER TABLE' },
  { ...serial, finding: [...serial.finding], remedy: 'GRANT' },
  { ...serial, finding: [...serial.finding], remedy: MIGRATE },
  { ...audit, finding: [...audit.finding], remedy: 'GRANT' },
  { ...audit, finding: [...audit.finding], remedy: 'ALTER FUNCTION' },
  { ...rights, finding: [...rights.finding], remedy: 'GRANT' },
  { ...rights, finding: [...rights.finding], remedy: MIGRATE },
  { ...schema, finding: [...schema.finding], remedy: 'GRANT' },
  { ...schema, finding: [...schema.finding], remedy: MIGRATE },
  {
    what: 'a rule',
    damage: 'CREATE RULE noted AS ON INSERT TO events DO ALSO NOTIFY stored',
    needsDuplicate: true,
    reason: /rules? .*\(0A000\): disable the row-level security of "events", or drop its rule/i,
    finding: ['warning', /The rule noted of "events" keeps the sink from comparing a duplicate/],
    from: 'doctor',
    remedy: 'DROP RULE',
    tidy: '',
  },
  {
    what: 'a deferrable constraint',
    damage: 'ALTER TABLE events ADD CONSTRAINT one_each UNIQUE (event_id, user_id) DEFERRABLE',
    needsDuplicate: true,
    reason: /\(55000\): make the unique constraints of "events" NOT DEFERRABLE/,
    finding: ['warning', /The constraint one_each of "events" is deferrable/],
    from: 'doctor',
    remedy: 'ALTER TABLE',
    tidy: '',
  },
  {
    what: 'a view named events',
    damage: VIEW,
    reason:
      /"events" is a view, not a table of its own, .*: rename it, and rename the table of Firehose back/,
    finding: ['critical', /"events" is a view/],
    remedy: 'ALTER VIEW events RENAME TO shown; ALTER TABLE stored RENAME TO events',
    tidy: 'DROP VIEW shown',
  },
  {
    what: 'a foreign table named events',
    damage: FOREIGN,
    reason:
      /"events" is a foreign table, not a table of its own, .*: rename it, and rename the table of Firehose back/,
    finding: ['critical', /"events" is a foreign table/],
    remedy: 'ALTER FOREIGN TABLE events RENAME TO elsewhere; ALTER TABLE stored RENAME TO events',
    tidy: 'DROP FOREIGN TABLE elsewhere; DROP SERVER none; DROP FOREIGN DATA WRAPPER none',
  },
  {
    what: 'a domain in a column',
    damage: 'CREATE DOMAIN account AS bigint; ALTER TABLE events ALTER user_id TYPE account',
    reason: /the columns of "events" are \(.*user_id account\), expected \(.*user_id bigint\); restore/,
    finding: ['critical', /The columns of "events" are/],
    remedy: 'ALTER TABLE events ALTER user_id TYPE bigint',
    tidy: 'DROP DOMAIN account',
  },
]

for (const { what, damage, needsDuplicate, reason, finding, remedy, from, tidy } of cases) {
  test(`${what}: named by sink and doctor, nothing is dead-lettered; ${remedy.split(';')[0]} cures it`, async () => {
    const events = range(next, 20)
    next += events.length
    await pipeline.query(damage)
    try {
      await postEvents(api, needsDuplicate ? [Math.max(0, (events[0] ?? 0) - 1), ...events] : events)
      const paused = await pausedBy(sink, reason)
      assert.equal(paused.needs_person, true)
      const { findings } = await diagnose(pipeline.env, ['--check', 'tables', '--check', 'rights'])
      const found = findings.find(({ level, text }) => level === finding[0] && finding[1].test(text))
      assert.ok(found, JSON.stringify(findings))
      await apply(remedy, from === 'doctor' ? (found.mend ?? '') : (paused.reason ?? ''))
      await assertDrained(pipeline, sink)
    } finally {
      if (tidy !== '') await pipeline.query(tidy)
    }
    assert.equal((await healthOf(sink)).total_dead, 0)
    assert.equal(await pipeline.countEvents(), next)
  })
}

/** Applies the remedy: those statements of the message that begin with it; or, if none does, the remedy itself. */
async function apply(remedy: string, message: string): Promise<void> {
  if (remedy === MIGRATE) {
    const [, words = ''] = /"npx firehose (migrate --sink-role \w+)"/.exec(message) ?? []
    const { code, err } = await runFirehose(pipeline.env, ...words.split(' '))
    assert.equal(code, 0, err)
    return
  }
  const statements = [...message.matchAll(/\b(?:GRANT|ALTER|DROP) [^;]*;/g)].map(([statement]) => statement)
  const named = statements.filter((statement) => statement.startsWith(remedy))
  assert.ok(named.length > 0 || /^ALTER .*(RENAME|TYPE)/.test(remedy), message)
  for (const statement of named.length > 0 ? named : [remedy]) await pipeline.query(statement)
}

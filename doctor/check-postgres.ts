import type { Facts } from './facts.ts'
import type { PostgresFacts, RoleSettings, ServerFacts } from './facts-postgres.ts'
import { type Finding, fromLook } from './finding.ts'
import { count, listed, settingMs, size } from './units.ts'

const TESTED_MAJORS = [17, 18]
/** A batch can take this long on a slow disk. */
const LEAST_TIMEOUT_MS = 30_000
/** PostgreSQL stops taking writes at about 2.1 billion, and from 1.6 billion on vacuums at any price. */
const XID_WARNING = 1_000_000_000
const XID_CRITICAL = 1_800_000_000
const XID_LIMIT = 2_100_000_000
/** Sinks, migrations and whoever mends need one each. */
const LEAST_FREE_CONNECTIONS = 3
const HELD_WAL_WARNING_BYTES = 1_000_000_000
const SEE_ALL = 'Run the doctor with a role that may see it: GRANT pg_monitor TO it.'

/** What the server and its settings tell. */
export function checkPostgres({ settings, postgres }: Facts): Finding[] {
  if (!postgres.ok) {
    return [
      {
        check: 'postgres',
        level: 'critical',
        text: `PostgreSQL at ${settings.database} cannot be reached (${postgres.error}): nothing is stored, what is accepted waits in Kafka.`,
        mend: 'Start it, or set DATABASE_URL (or PGHOST, PGUSER, ...) to where it is; the sink goes on by itself.',
      },
    ]
  }
  const { server, settings: roleSettings, wal } = postgres.value
  return [
    ...checkServer(postgres.value),
    ...checkDurability(postgres.value),
    ...fromLook('timeouts', roleSettings, SEE_ALL, (roles) => checkTimeouts(postgres.value, roles)),
    checkConnections(server),
    checkWraparound(server),
    ...fromLook('wal', wal, SEE_ALL, (found) => (found === undefined ? [] : checkWal(found))),
  ]
}

function checkServer({ server, settings }: PostgresFacts): Finding[] {
  const { version, version_num, in_recovery, role, database } = server
  const findings: Finding[] = []
  const major = Math.floor(version_num / 10_000)
  if (in_recovery) {
    findings.push({
      check: 'postgres',
      level: 'critical',
      text: 'This PostgreSQL is a standby: it takes no writes, so nothing is stored.',
      mend: 'Point DATABASE_URL at the primary, or promote this one (pg_promote()).',
    })
  }
  const readOnly = valuesOf(settings, 'default_transaction_read_only').find(({ value }) => value === 'on')
  if (readOnly !== undefined) {
    findings.push({
      check: 'postgres',
      level: 'critical',
      text: `default_transaction_read_only is on for ${readOnly.role}: the sink can write nothing.`,
      mend: `ALTER ROLE ${readOnly.role} SET default_transaction_read_only = off;`,
    })
  }
  if (!TESTED_MAJORS.includes(major)) {
    const older = major < (TESTED_MAJORS[0] ?? 0)
    findings.push({
      check: 'postgres',
      level: older ? 'warning' : 'note',
      text: `PostgreSQL ${version} is ${older ? 'older' : 'newer'} than what Firehose is tested with (${listed(TESTED_MAJORS)}).`,
      mend: older ? 'Upgrade PostgreSQL.' : 'Look for a newer Firehose.',
    })
  }
  if (findings.length > 0) return findings
  return [
    {
      check: 'postgres',
      level: 'ok',
      text: `PostgreSQL ${version}, database ${database}, takes writes; looked at as ${role}.`,
    },
  ]
}

function checkDurability({ server, settings }: PostgresFacts): Finding[] {
  const findings: Finding[] = []
  if (!server.fsync) {
    findings.push({
      check: 'durability',
      level: 'critical',
      text: 'fsync is off: when the machine crashes, the whole database may be beyond repair.',
      mend: 'ALTER SYSTEM SET fsync = on; SELECT pg_reload_conf();',
    })
  }
  if (!server.full_page_writes) {
    findings.push({
      check: 'durability',
      level: 'warning',
      text: 'full_page_writes is off: unless the file system never tears a page (ZFS), a crash of the machine corrupts tables.',
      mend: 'ALTER SYSTEM SET full_page_writes = on; SELECT pg_reload_conf();',
    })
  }
  const async = valuesOf(settings, 'synchronous_commit').find(({ value }) => value === 'off')
  if (async !== undefined) {
    // Rows and offsets are in one transaction, so a crash takes both back, and the sink reads on from there.
    findings.push({
      check: 'durability',
      level: 'note',
      text: `synchronous_commit is off for ${async.role}: a crash of PostgreSQL takes back the last moments' rows with their offsets, and the sink reads them again from Kafka; no event is lost while Kafka keeps it.`,
      mend: `ALTER ROLE ${async.role} SET synchronous_commit = on;`,
    })
  }
  if (findings.length > 0) return findings
  return [
    {
      check: 'durability',
      level: 'ok',
      text: 'fsync, full_page_writes and synchronous_commit are on: what is committed survives a crash.',
    },
  ]
}

function checkTimeouts({ sinkRoles }: PostgresFacts, roles: readonly RoleSettings[]): Finding[] {
  const findings: Finding[] = []
  for (const { role, values } of roles) {
    for (const name of ['statement_timeout', 'transaction_timeout']) {
      const ms = settingMs(values[name] ?? '')
      if (ms === undefined || ms === 0 || ms >= LEAST_TIMEOUT_MS) continue
      findings.push({
        check: 'timeouts',
        level: 'warning',
        text: `${name} is ${values[name]} for ${role}: a batch that takes longer is ended, and tried again in halves after a pause.`,
        mend: `ALTER ROLE ${role} SET ${name} = 0; the sink has its own limit (DATABASE_TIMEOUT_MS).`,
      })
    }
  }
  if (sinkRoles.connected && sinkRoles.roles.length > 1) {
    findings.push({
      check: 'timeouts',
      level: 'warning',
      text: `Sinks log in as ${listed(sinkRoles.roles)}: when one freezes within a transaction, one of another role may not end it, and its partitions wait.`,
      mend: 'Give all sinks the same role.',
    })
  }
  if (findings.length > 0) return findings
  return [
    {
      check: 'timeouts',
      level: 'ok',
      text: 'No timeout ends batches; a frozen sink is ended by the one that takes over.',
    },
  ]
}

function checkConnections({ connections, connections_limit }: ServerFacts): Finding {
  const free = connections_limit - connections
  const text = `${count(connections)} of ${count(connections_limit)} connections are in use`
  if (free >= LEAST_FREE_CONNECTIONS) return { check: 'connections', level: 'ok', text: `${text}.` }
  return {
    check: 'connections',
    level: 'warning',
    text: `${text}: a sink that has to connect again may not get one, and then waits.`,
    mend: 'Raise max_connections, or end sessions that idle (SELECT * FROM pg_stat_activity).',
  }
}

function checkWraparound({ xid_age }: ServerFacts): Finding {
  const text = `${count(xid_age)} of ${count(XID_LIMIT)} transaction ids are in use`
  if (xid_age < XID_WARNING) return { check: 'wraparound', level: 'ok', text: `${text}.` }
  return {
    check: 'wraparound',
    level: xid_age < XID_CRITICAL ? 'warning' : 'critical',
    text: `${text}: with none left PostgreSQL takes no more writes.`,
    mend: 'End what holds VACUUM back (old transactions, prepared ones, replication slots), then VACUUM (FREEZE);',
  }
}

function checkWal({
  slots,
  archiving_fails,
}: {
  slots: { name: string; bytes: number }[]
  archiving_fails: boolean
}): Finding[] {
  const held = slots.filter(({ bytes }) => bytes > HELD_WAL_WARNING_BYTES)
  const findings = held.map(
    ({ name, bytes }): Finding => ({
      check: 'wal',
      level: 'warning',
      text: `Replication slot ${name} is unused and holds ${size(bytes)} of WAL: the disk fills, and then nothing is stored.`,
      mend: `Connect its standby, or SELECT pg_drop_replication_slot('${name}');`,
    }),
  )
  if (archiving_fails) {
    findings.push({
      check: 'wal',
      level: 'warning',
      text: 'Archiving of WAL fails, so all of it is kept: the disk fills, and then nothing is stored.',
      mend: "Mend archive_command; PostgreSQL's log says why it fails.",
    })
  }
  return findings.length > 0 ? findings : [{ check: 'wal', level: 'ok', text: 'Nothing keeps WAL for long.' }]
}

function valuesOf(
  settings: PostgresFacts['settings'],
  name: string,
): { role: string; value: string | undefined }[] {
  return settings.ok ? settings.value.map(({ role, values }) => ({ role, value: values[name] })) : []
}

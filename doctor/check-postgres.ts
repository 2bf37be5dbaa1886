import { whyUnsupported } from '../postgres/supported.ts'
import type { Facts } from './facts.ts'
import type { PostgresFacts, RoleSettings, ServerFacts } from './facts-postgres.ts'
import { type Finding, fromResult } from './finding.ts'
import { capital, count, listed, settingMs, size } from '../platform/units.ts'

/** The major version on which the tests run. */
const TESTED_MAJOR = 18
/** A transaction can take this long on a slow disk. */
const LEAST_TIMEOUT_MS = 30_000
/** PostgreSQL refuses writes at about 2.1 billion, and from 1.6 billion on vacuums without cost limits (failsafe). */
const XID_WARNING = 1_000_000_000
const XID_CRITICAL = 1_800_000_000
const XID_LIMIT = 2_100_000_000
/** One each for a sink, a migration and an operator. */
const LEAST_FREE_CONNECTIONS = 3
const HELD_WAL_WARNING_BYTES = 1_000_000_000
const SEE_ALL = 'Run the doctor as a role that can see this: GRANT pg_monitor TO ...;'

/** The checks of the server and its settings. */
export function checkPostgres({ settings, postgres }: Facts): Finding[] {
  if (!postgres.ok) {
    return [
      {
        check: 'postgres',
        level: 'critical',
        text: `PostgreSQL at ${settings.database} cannot be reached (${postgres.error}): nothing is stored, and accepted events wait in Kafka.`,
        mend: 'Start it, or correct DATABASE_URL (or PGHOST, PGUSER, ...); the sink then continues by itself.',
      },
    ]
  }
  const { server, settings: roleSettings, wal } = postgres.value
  return [
    ...checkServer(postgres.value),
    ...checkDurability(postgres.value),
    ...fromResult('timeouts', roleSettings, SEE_ALL, (roles) => checkTimeouts(postgres.value, roles)),
    checkConnections(server),
    checkWraparound(server),
    ...fromResult('wal', wal, SEE_ALL, (found) => (found === undefined ? [] : checkWal(found))),
  ]
}

function checkServer({ server, settings }: PostgresFacts): Finding[] {
  const { version, version_num, encoding, in_recovery, role, database } = server
  const findings: Finding[] = []
  const major = Math.floor(version_num / 10_000)
  if (in_recovery) {
    findings.push({
      check: 'postgres',
      level: 'critical',
      text: 'This PostgreSQL is a standby: it accepts no writes, so nothing is stored.',
      mend: 'Point DATABASE_URL at the primary, or promote this server (pg_promote()).',
    })
  }
  const readOnly = valuesOf(settings, 'default_transaction_read_only').find(({ value }) => value === 'on')
  if (readOnly !== undefined) {
    findings.push({
      check: 'postgres',
      level: 'critical',
      text: `default_transaction_read_only is on for ${readOnly.role}: the sink cannot write.`,
      mend: `ALTER ROLE ${readOnly.role} SET default_transaction_read_only = off;`,
    })
  }
  const unsupported = whyUnsupported({ version, versionNum: version_num, encoding, database })
  if (unsupported !== undefined) {
    const { text, remedy } = unsupported
    findings.push({
      check: 'postgres',
      level: 'critical',
      text: `${capital(text)}: nothing is stored.`,
      mend: `${capital(remedy)}.`,
    })
  } else if (major !== TESTED_MAJOR) {
    const older = major < TESTED_MAJOR
    findings.push({
      check: 'postgres',
      level: 'note',
      text: `PostgreSQL ${version} is ${older ? 'older' : 'newer'} than the version that Firehose is tested with (${TESTED_MAJOR}).`,
      mend: older ? 'Upgrade PostgreSQL.' : 'Look for a newer release of Firehose.',
    })
  }
  if (findings.length > 0) return findings
  return [
    {
      check: 'postgres',
      level: 'ok',
      text: `PostgreSQL ${version}, database ${database}, accepts writes; checked as ${role}.`,
    },
  ]
}

function checkDurability({ server, settings }: PostgresFacts): Finding[] {
  const findings: Finding[] = []
  if (!server.fsync) {
    findings.push({
      check: 'durability',
      level: 'critical',
      text: 'fsync is off: a crash of the machine may corrupt the whole database beyond repair.',
      mend: 'ALTER SYSTEM SET fsync = on; SELECT pg_reload_conf();',
    })
  }
  if (!server.full_page_writes) {
    findings.push({
      check: 'durability',
      level: 'warning',
      text: 'full_page_writes is off: unless the file system prevents torn pages (ZFS does), a crash of the machine corrupts tables.',
      mend: 'ALTER SYSTEM SET full_page_writes = on; SELECT pg_reload_conf();',
    })
  }
  const async = valuesOf(settings, 'synchronous_commit').find(({ value }) => value === 'off')
  if (async !== undefined) {
    // Rows and offsets are in one transaction, so a crash undoes both, and the sink reads the records again.
    findings.push({
      check: 'durability',
      level: 'note',
      text: `synchronous_commit is off for ${async.role}: a crash of PostgreSQL undoes the latest commits, rows and offsets together, and the sink reads their records from Kafka again; no event is lost while Kafka keeps it.`,
      mend: `ALTER ROLE ${async.role} SET synchronous_commit = on;`,
    })
  }
  if (findings.length > 0) return findings
  return [
    {
      check: 'durability',
      level: 'ok',
      text: 'fsync, full_page_writes and synchronous_commit are on: committed rows survive a crash.',
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
        text: `${name} is ${values[name]} for ${role}: PostgreSQL cancels transactions that take longer; the sink pauses and retries with half as many records.`,
        mend: `ALTER ROLE ${role} SET ${name} = 0; the sink has a timeout of its own (DATABASE_TIMEOUT_MS).`,
      })
    }
  }
  if (sinkRoles.connected && sinkRoles.roles.length > 1) {
    findings.push({
      check: 'timeouts',
      level: 'warning',
      text: `Sinks log in as ${listed(sinkRoles.roles)}: if one freezes in a transaction, a sink with another role cannot terminate it, and its partitions wait.`,
      mend: 'Give all sinks the same role.',
    })
  }
  if (findings.length > 0) return findings
  return [
    {
      check: 'timeouts',
      level: 'ok',
      text: 'No timeout cancels transactions of the sink; the session of a frozen sink is terminated by the sink that takes over.',
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
    text: `${text}: a sink that has to reconnect may not get one and then waits.`,
    mend: 'Raise max_connections, or terminate idle sessions (SELECT * FROM pg_stat_activity).',
  }
}

function checkWraparound({ xid_age }: ServerFacts): Finding {
  const text = `${count(xid_age)} of ${count(XID_LIMIT)} transaction ids are in use`
  if (xid_age < XID_WARNING) return { check: 'wraparound', level: 'ok', text: `${text}.` }
  return {
    check: 'wraparound',
    level: xid_age < XID_CRITICAL ? 'warning' : 'critical',
    text: `${text}: when they are used up, PostgreSQL accepts no more writes.`,
    mend: 'End what keeps VACUUM from freezing rows (old transactions, prepared transactions, replication slots), then VACUUM (FREEZE);',
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
      text: `Replication slot ${name} is inactive and retains ${size(bytes)} of WAL: when the disk is full, nothing is stored.`,
      mend: `Reconnect its consumer, or SELECT pg_drop_replication_slot('${name}');`,
    }),
  )
  if (archiving_fails) {
    findings.push({
      check: 'wal',
      level: 'warning',
      text: 'WAL archiving fails, so all WAL is retained: when the disk is full, nothing is stored.',
      mend: "Fix archive_command; PostgreSQL's log says why it fails.",
    })
  }
  return findings.length > 0 ? findings : [{ check: 'wal', level: 'ok', text: 'Nothing retains much WAL.' }]
}

function valuesOf(
  settings: PostgresFacts['settings'],
  name: string,
): { role: string; value: string | undefined }[] {
  return settings.ok ? settings.value.map(({ role, values }) => ({ role, value: values[name] })) : []
}

import { SINK_TABLE_PRIVILEGES } from '../postgres/roles.ts'
import type { Facts } from './facts.ts'
import type { IndexFacts, LockFacts, PostgresFacts, TableFacts } from './facts-postgres.ts'
import { type Finding, fromLook } from './finding.ts'
import { TABLES } from './postgres-sql.ts'
import { duration, listed, plural } from './units.ts'

/** A sink's own transaction is over sooner, or the sink is frozen. */
const LONG_TRANSACTION_S = 60
const TRY_AGAIN = 'Mend what else is found here, then look again.'

/** Without these, what must not be there twice can be. */
const KEYS = [
  {
    table: 'events',
    keys: 'event_id',
    level: 'critical',
    harm: 'an event that is read again is stored twice',
  },
  {
    table: 'sink_offsets',
    keys: 'cluster_id,topic,partition',
    level: 'critical',
    harm: 'two sinks may write the same records',
  },
  {
    table: 'dead_letters',
    keys: 'cluster_id,topic,partition,offset',
    level: 'warning',
    harm: 'a dead letter may be there twice',
  },
] as const
/** For queries: whoever dropped them may have meant it. */
const QUERY_INDEXES = [
  { table: 'events', keys: 'user_id,timestamp' },
  { table: 'events', keys: 'timestamp' },
]

/** What the tables, and those who hold them, tell. */
export function checkTables({ postgres, between }: Facts): Finding[] {
  if (!postgres.ok) return []
  const { tables, indexes, missingRights, locks, deadLetters, sinkRoles } = postgres.value
  const held = between?.ok === true ? { ok: true as const, value: between.value.locks } : locks
  const missing = tables.ok
    ? TABLES.filter((table) => !tables.value.found.some(({ name }) => name === table))
    : []
  if (missing.length > 0) {
    return [
      {
        check: 'tables',
        level: 'critical',
        text: `The table ${listed(missing)} is not there (or not in the search_path of ${postgres.value.server.role}): nothing can be stored.`,
        mend: 'npm run migrate (docker compose run --rm cli migrate).',
      },
    ]
  }
  return [
    ...fromLook('tables', tables, TRY_AGAIN, checkDefinitions),
    ...fromLook('indexes', indexes, TRY_AGAIN, checkIndexes),
    ...fromLook('rights', missingRights, TRY_AGAIN, (rights) => checkRights(sinkRoles, rights)),
    ...fromLook('locks', held, TRY_AGAIN, checkLocks),
    ...fromLook('dead-letters', deadLetters, 'GRANT SELECT ON dead_letters TO this role.', checkDeadLetters),
  ]
}

function checkDefinitions({ found, missingMigrations, events }: TableFacts): Finding[] {
  const findings: Finding[] = []
  const add = (level: Finding['level'], text: string, mend: string): void => {
    findings.push({ check: 'tables', level, text, mend })
  }
  if (missingMigrations !== null && missingMigrations.length > 0) {
    add(
      'critical',
      `Migration ${listed(missingMigrations)} was not applied: the sink may not find what it needs.`,
      'npm run migrate (docker compose run --rm cli migrate).',
    )
  }
  if (events !== undefined && events.types !== events.expectedTypes) {
    add(
      'critical',
      `The columns of "events" are (${events.types}): the sink stores nothing until they are (${events.expectedTypes}).`,
      'ALTER TABLE events ALTER COLUMN ... TYPE ...; back to these types.',
    )
  }
  const required = events?.requiredColumns ?? []
  if (required.length > 0) {
    add(
      'critical',
      `Column ${listed(required)} of "events" is NOT NULL without a default: each row of the sink is refused.`,
      `ALTER TABLE events ALTER COLUMN ${required[0]} SET DEFAULT ...; or DROP NOT NULL.`,
    )
  }
  for (const { name, unlogged } of found) {
    if (!unlogged) continue
    const harm =
      name === 'sink_offsets'
        ? 'and the sink reads all again that Kafka still has'
        : 'and Kafka does not give them again'
    add(
      name === 'sink_offsets' ? 'warning' : 'critical',
      `"${name}" is UNLOGGED: a crash of PostgreSQL empties it, ${harm}.`,
      `ALTER TABLE ${name} SET LOGGED;`,
    )
  }
  if (findings.length > 0) return findings
  return [{ check: 'tables', level: 'ok', text: 'All tables are there, as the sink needs them.' }]
}

function checkIndexes(indexes: readonly IndexFacts[]): Finding[] {
  const findings: Finding[] = []
  for (const { table, keys, level, harm } of KEYS) {
    // PostgreSQL enforces an invalid unique index for new rows, but what was there before may be double.
    const sameKeys = (index: IndexFacts): boolean =>
      index.keys?.split(',').toSorted().join() === keys.split(',').toSorted().join()
    const isThere = indexes.some(
      (index) => index.table === table && index.valid && index.unique && sameKeys(index),
    )
    if (isThere) continue
    const columns = keys
      .split(',')
      .map((column) => (column === 'offset' ? '"offset"' : column))
      .join(', ')
    findings.push({
      check: 'indexes',
      level,
      text: `"${table}" has no unique index on (${columns}): ${harm}.`,
      mend: `Delete what is there twice, then ALTER TABLE ${table} ADD PRIMARY KEY (${columns});`,
    })
  }
  const invalid = indexes.filter(({ valid }) => !valid)
  for (const { table, name } of invalid) {
    findings.push({
      check: 'indexes',
      level: 'warning',
      text: `Index ${name} on "${table}" is invalid: it slows each write and no query uses it.`,
      mend: `REINDEX INDEX CONCURRENTLY ${name}; or DROP INDEX ${name};`,
    })
  }
  const missing = QUERY_INDEXES.filter(
    ({ table, keys }) => !indexes.some((index) => index.table === table && index.keys === keys),
  )
  if (missing.length > 0) {
    const columns = missing.map(({ keys }) => `(${keys})`)
    findings.push({
      check: 'indexes',
      level: 'note',
      text: `"events" has no index on ${listed(columns)}: writes are cheaper for it, queries by it read the whole table.`,
      mend: 'If nobody meant it, make it again as postgres/migrations/001_events.sql does, with CONCURRENTLY.',
    })
  }
  if (findings.length > 0) return findings
  return [
    {
      check: 'indexes',
      level: 'ok',
      text: `All ${indexes.length} indexes are valid, each event_id is unique.`,
    },
  ]
}

function checkRights(
  { roles, connected }: PostgresFacts['sinkRoles'],
  missing: readonly { role: string; table: string; privilege: string }[],
): Finding[] {
  if (missing.length === 0) {
    const who = connected ? listed(roles) : `${listed(roles)} (no sink is connected)`
    return [{ check: 'rights', level: 'ok', text: `The role ${who} may do all that a sink does.` }]
  }
  return [...new Set(missing.map(({ role }) => role))].map((role): Finding => {
    const of = missing.filter((right) => right.role === role)
    const grants = Object.keys(SINK_TABLE_PRIVILEGES).flatMap((table) => {
      const privileges = of.filter((right) => right.table === table).map(({ privilege }) => privilege)
      return privileges.length === 0 ? [] : [`GRANT ${privileges.join(', ')} ON ${table} TO ${role};`]
    })
    if (of.some(({ privilege }) => privilege === 'TEMPORARY'))
      grants.push(`GRANT TEMPORARY ON DATABASE ... TO ${role};`)
    const what = of.map(({ table, privilege }) => (table === '' ? privilege : `${privilege} on ${table}`))
    return {
      check: 'rights',
      level: 'critical',
      text: `The role ${role} lacks ${listed(what)}: ${connected ? 'the sink stops' : 'a sink of this role would stop'}.`,
      mend: grants.join(' '),
    }
  })
}

function checkLocks(locks: readonly LockFacts[]): Finding[] {
  // A sink's own transactions come and go; one that stays is frozen.
  const harmful = locks.filter(({ isSink, ageS }) => isSink !== true || (ageS ?? 0) > LONG_TRANSACTION_S)
  const byHolder = Map.groupBy(harmful, ({ id }) => id)
  if (byHolder.size === 0)
    return [{ check: 'locks', level: 'ok', text: 'Nobody keeps the sink from writing.' }]
  return [...byHolder.values()].map(([first, ...others]): Finding => {
    const { pid, gid, role, application, state, ageS, mode } = first as LockFacts
    const tables = [...new Set([first as LockFacts, ...others].map(({ table }) => table))]
    const since = ageS === null ? '' : ` for ${duration(ageS)}`
    const who =
      gid === null
        ? `${role ?? 'A session'}${application ? ` (${application})` : ''}, pid ${pid},${state === null ? '' : ` ${state},`}`
        : `The prepared transaction '${gid}'`
    return {
      check: 'locks',
      level: 'warning',
      text: `${who} holds ${listed(tables)}${since} (${mode}): the sink waits.`,
      mend:
        gid === null
          ? `Let it commit, or SELECT pg_terminate_backend(${pid});`
          : `COMMIT PREPARED '${gid}'; or ROLLBACK PREPARED '${gid}';`,
    }
  })
}

function checkDeadLetters(open: readonly { reason: string; count: number }[]): Finding[] {
  if (open.length === 0) return [{ check: 'dead-letters', level: 'ok', text: 'No dead letter is open.' }]
  const total = open.reduce((sum, { count }) => sum + count, 0)
  const reasons = open.map(({ reason, count }) => `${count} ${reason}`)
  return [
    {
      check: 'dead-letters',
      level: 'warning',
      text: `${plural(total, 'dead letter')} ${total === 1 ? 'waits' : 'wait'} for a person (${listed(reasons)}): ${total === 1 ? 'it is' : 'they are'} not in "events".`,
      mend: 'npm run dlq -- list',
    },
  ]
}

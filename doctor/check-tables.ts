import { ROOT } from '../postgres/partitions/tree.ts'
import { grants, type NeedFacts, obstaclesOf } from '../postgres/needs.ts'
import { checkIndexes } from './check-indexes.ts'
import { columnRepair } from '../sink-worker/store/column-repair.ts'
import type { Facts } from './facts.ts'
import type { LockFacts, PostgresFacts, TableFacts, TriggerNeed } from './facts-postgres.ts'
import { type Finding, fromResult } from './finding.ts'
import { capital, duration, listed, plural } from '../platform/units.ts'

/** A sink whose transaction takes longer is frozen. */
const LONG_TRANSACTION_S = 60
const TRY_AGAIN = 'Fix the other findings, then run the doctor again.'

/** The checks of the tables, their indexes and privileges, and the locks on them. */
export function checkTables({ settings, postgres, comparison }: Facts): Finding[] {
  if (!postgres.ok) return []
  const { tables, indexes, layout, needs, triggers, locks, deadLetters, sinkRoles } = postgres.value
  const held = comparison?.ok === true ? { ok: true as const, value: comparison.value.locks } : locks
  const obstacles = fromResult('rights', needs, TRY_AGAIN, (facts) => checkObstacles(facts, sinkRoles))
  if (needs.ok && needs.value.tables.some(({ kind }) => kind === null)) return obstacles
  return [
    ...fromResult('tables', tables, TRY_AGAIN, checkDefinitions),
    ...fromResult('indexes', indexes, TRY_AGAIN, (found) =>
      checkIndexes(found, {
        layout: layout.ok ? layout.value : undefined,
        userIndex: settings.userIndex,
        lacksColumns: tables.ok && isOld(tables.value),
      }),
    ),
    ...obstacles,
    ...fromResult('rights', triggers, TRY_AGAIN, checkTriggers),
    ...fromResult('locks', held, TRY_AGAIN, checkLocks),
    ...fromResult(
      'dead-letters',
      deadLetters,
      'GRANT SELECT ON dead_letters TO this role.',
      checkDeadLetters,
    ),
  ]
}

/** Whether columns may be missing. */
function isOld({ missingMigrations }: TableFacts): boolean {
  return (missingMigrations ?? []).length > 0
}

function checkDefinitions(facts: TableFacts): Finding[] {
  const { found, missingMigrations, events } = facts
  const findings: Finding[] = []
  const add = (level: Finding['level'], text: string, mend: string): void => {
    findings.push({ check: 'tables', level, text, mend })
  }
  if (missingMigrations !== null && missingMigrations.length > 0) {
    add(
      'critical',
      `Migration ${listed(missingMigrations)} was not applied: the sink may lack tables or columns that it needs.`,
      'npx firehose migrate (docker compose run --rm cli migrate).',
    )
  }
  if (!isOld(facts) && events !== undefined && events.types !== events.expectedTypes) {
    add(
      'critical',
      `The columns of "events" are (${events.types}): the sink stores nothing until they are (${events.expectedTypes}).`,
      `Unless a column was only renamed: ${columnRepair(events.types, events.expectedTypes)}`,
    )
  }
  const [required, ...others] = events?.requiredColumns ?? []
  if (required !== undefined) {
    const { name, table } = required
    const names = [required, ...others].map((column) => column.name)
    add(
      'critical',
      table === 'events'
        ? `Column ${listed(names)} of "events" is NOT NULL without a default: PostgreSQL refuses every row from the sink.`
        : `Column ${listed(names)} of "events" is NOT NULL in the partition ${table}, without a default: PostgreSQL refuses the rows that go there.`,
      `ALTER TABLE ${table} ALTER COLUMN ${name} DROP NOT NULL; or ALTER TABLE events ALTER COLUMN ${name} SET DEFAULT ...;`,
    )
  }
  for (const { name, unlogged } of found) {
    if (!unlogged) continue
    const harm =
      name === 'sink_offsets'
        ? 'and the sink reads everything again that Kafka still has'
        : 'and the sink does not read its records again'
    add(
      name === 'sink_offsets' ? 'warning' : 'critical',
      `"${name}" is UNLOGGED: a crash of PostgreSQL empties it, ${harm}.`,
      `ALTER TABLE ${name} SET LOGGED;`,
    )
  }
  if (findings.length > 0) return findings
  return [
    { check: 'tables', level: 'ok', text: 'All tables exist and have the structure that the sink needs.' },
  ]
}

function checkObstacles(facts: NeedFacts, { roles, connected }: PostgresFacts['sinkRoles']): Finding[] {
  const obstacles = obstaclesOf(facts)
  const findings = obstacles.map(({ about, text, remedy, onlyDuplicates }): Finding => {
    const harm = onlyDuplicates
      ? 'the sink pauses when one arrives'
      : connected
        ? 'the sink stops'
        : 'a sink of this role would stop'
    return {
      check: about,
      level: onlyDuplicates ? 'warning' : 'critical',
      text: `${capital(text)}: ${harm}.`,
      mend: remedy,
    }
  })
  if (obstacles.some(({ about }) => about === 'rights')) return findings
  const who = connected ? listed(roles) : `${listed(roles)} (no sink is connected)`
  const text = `The role ${who} has all privileges that a sink needs.`
  return [...findings, { check: 'rights', level: 'ok', text }]
}

/** Triggers run with the sink's privileges, which only the user can extend. */
function checkTriggers(needs: readonly TriggerNeed[]): Finding[] {
  return [...Map.groupBy(needs, ({ role, trigger }) => `${role} ${trigger}`).values()].map(
    (some): Finding => {
      const [{ role, trigger, function: name } = { role: '', trigger: '', function: '' }] = some
      const lacking = some.map(({ privilege, on, object }) => `${privilege} on ${on.toLowerCase()}${object}`)
      return {
        check: 'rights',
        level: 'warning',
        text: `The trigger ${trigger} of "events" seems to need ${listed(lacking)}, which the role ${role} lacks: the sink pauses.`,
        mend: `${grants(role, some).join(' ')} or ALTER FUNCTION ${name} SECURITY DEFINER;`,
      }
    },
  )
}

function checkLocks(locks: readonly LockFacts[]): Finding[] {
  // Transactions of sinks are short; a long one belongs to a frozen sink.
  const harmful = locks.filter(({ isSink, ageS }) => isSink !== true || (ageS ?? 0) > LONG_TRANSACTION_S)
  const byHolder = Map.groupBy(harmful, ({ id }) => id)
  if (byHolder.size === 0)
    return [{ check: 'locks', level: 'ok', text: 'No lock keeps the sink from writing.' }]
  return [...byHolder.values()].map(([first, ...others]): Finding => {
    const { pid, gid, role, application, state, ageS, mode } = first as LockFacts
    const tables = namesOf([first as LockFacts, ...others])
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

/** Who has locked "events" has locked all of its partitions. */
function namesOf(locks: readonly LockFacts[]): string[] {
  const isWhole = locks.some(({ table }) => table === ROOT)
  const named = locks.filter(({ isPartition }) => !(isWhole && isPartition))
  return [...new Set(named.map(({ table }) => table))].toSorted()
}

function checkDeadLetters(open: readonly { reason: string; count: number }[]): Finding[] {
  if (open.length === 0)
    return [{ check: 'dead-letters', level: 'ok', text: 'There are no open dead letters.' }]
  const total = open.reduce((sum, { count }) => sum + count, 0)
  const reasons = open.map(({ reason, count }) => `${count} ${reason}`)
  return [
    {
      check: 'dead-letters',
      level: 'warning',
      text: `${plural(total, 'open dead letter')} (${listed(reasons)}): ${total === 1 ? 'it is' : 'they are'} not in "events" and ${total === 1 ? 'needs' : 'need'} a decision.`,
      mend: 'npx firehose dlq list',
    },
  ]
}

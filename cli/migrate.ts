import { collectProblems, ConfigError, parseSettings, secret } from '../platform/env.ts'
import { type DatabaseTarget, databaseTarget } from '../postgres/database-url.ts'
import { migrate, type MigrateOptions } from '../postgres/migrate.ts'
import { newTableSettings, newTablesOf } from '../postgres/new-tables.ts'
import { newCommand, warn } from './command.ts'
import { endOnSignal } from './stop-on-signal.ts'

/** For docker compose, where a changed .env does not change the password of an existing database. */
const PASSWORD_HINT = `PostgreSQL keeps the password that it was first started with. To change it, first run
docker compose exec postgres psql -U firehose -c '\\password firehose', then change .env.`

export const command = newCommand(
  'migrate',
  `Creates or updates Firehose's tables in the database DATABASE_URL (or PG*), in the schema DATABASE_SCHEMA; new ones with
a user_id of the type USER_ID_TYPE, and partitions as EVENTS_PARTITION and EVENTS_USER_INDEX say. Applies each migration
once, in order. It can be repeated safely, and run several times concurrently.`,
)
  .option(
    '--sink-role <NAME>',
    `also create or update the role that sink workers log in as, with the password in SINK_DATABASE_PASSWORD and only the \
privileges that a sink needs`,
  )
  .action(async ({ sinkRole }: { sinkRole?: string }) => {
    endOnSignal() // PostgreSQL rolls back an open transaction
    const { target, ...options } = settingsOf(sinkRole, process.env)
    process.exitCode = await run(target, options)
  })

/** @returns the exit code */
async function run(
  { url, address, schema }: DatabaseTarget,
  options: Omit<MigrateOptions, 'schema'>,
): Promise<number> {
  const { sinkRole } = options
  try {
    const applied = await migrate(url, { ...options, schema })
    console.log(applied.length === 0 ? 'The tables are up to date.' : `Applied ${applied.join(', ')}.`)
    if (sinkRole) console.log(`The role ${sinkRole.name} has the privileges that a sink needs.`)
    return 0
  } catch (error) {
    console.error(
      `The migration of PostgreSQL at ${address} failed: ${(error as Error).message || String((error as { code?: string }).code)}`,
    )
    if ((error as { code?: string }).code === '28P01') console.error(PASSWORD_HINT)
    return 1
  }
}

const migrateSettings = {
  ...newTableSettings,
  SINK_DATABASE_PASSWORD: secret("Password of the sink's role"),
}

/** @throws {ConfigError} that lists every mistake */
function settingsOf(
  name: string | undefined,
  env: NodeJS.ProcessEnv,
): Omit<MigrateOptions, 'schema'> & { target: DatabaseTarget } {
  const { values, problems } = parseSettings(migrateSettings, env)
  const password = values.SINK_DATABASE_PASSWORD
  if (name !== undefined && password === undefined && problems.length === 0)
    problems.push(
      'SINK_DATABASE_PASSWORD (or SINK_DATABASE_PASSWORD_FILE) must hold the password of --sink-role',
    )
  const target = collectProblems(problems, () => databaseTarget(env))
  if (problems.length > 0 || target === undefined) throw new ConfigError(problems)
  warn(target.warnings)
  const sinkRole = name === undefined || password === undefined ? {} : { sinkRole: { name, password } }
  return { target, ...newTablesOf(values), ...sinkRole }
}

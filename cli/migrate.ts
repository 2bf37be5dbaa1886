import { readConfigOrExit } from '../platform/shutdown.ts'
import { ConfigError } from '../platform/env.ts'
import { databaseSchema, databaseUrl } from '../postgres/database-url.ts'
import { migrate, type MigrateOptions } from '../postgres/migrate.ts'
import type { SinkRole } from '../postgres/roles.ts'
import { newCommand } from './command.ts'
import { endOnSignal } from './stop-on-signal.ts'

/** For docker compose, where a changed .env does not change the password of an existing database. */
const PASSWORD_HINT = `PostgreSQL keeps the password that it was first started with. To change it, first run
docker compose exec postgres psql -U firehose -c '\\password firehose', then change .env.`

export const command = newCommand(
  'migrate',
  `Creates or updates Firehose's tables in the database DATABASE_URL (or PG*), in the schema DATABASE_SCHEMA. Applies each migration once, in order. It can
be repeated safely, and run several times concurrently.`,
)
  .option(
    '--sink-role <NAME>',
    `also create or update the role that sink workers log in as, with the password in SINK_DATABASE_PASSWORD and only the \
privileges that a sink needs`,
  )
  .action(async ({ sinkRole }: { sinkRole?: string }) => {
    endOnSignal() // PostgreSQL rolls back an open transaction
    const [url, options] = readConfigOrExit(() => [
      databaseUrl(process.env),
      { sinkRole: roleOf(sinkRole, process.env), schema: databaseSchema(process.env) },
    ])
    process.exitCode = await run(url, options)
  })

/** @returns the exit code */
async function run(url: string, options: MigrateOptions): Promise<number> {
  const { sinkRole } = options
  try {
    const applied = await migrate(url, options)
    console.log(applied.length === 0 ? 'The tables are up to date.' : `Applied ${applied.join(', ')}.`)
    if (sinkRole) console.log(`The role ${sinkRole.name} has the privileges that a sink needs.`)
    return 0
  } catch (error) {
    console.error(
      `The migration failed: ${(error as Error).message || String((error as { code?: string }).code)}`,
    )
    if ((error as { code?: string }).code === '28P01') console.error(PASSWORD_HINT)
    return 1
  }
}

function roleOf(name: string | undefined, env: NodeJS.ProcessEnv): SinkRole | undefined {
  if (name === undefined) return undefined
  const password = env.SINK_DATABASE_PASSWORD
  if (!password)
    throw new ConfigError(['--sink-role needs the password of the role in SINK_DATABASE_PASSWORD'])
  return { name, password }
}

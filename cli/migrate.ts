import { parseArgsOrExit } from './args.ts'
import { readConfigOrExit } from '../runtime/shutdown.ts'
import { databaseUrl } from '../runtime/database-url.ts'
import { migrate } from '../sink-worker/migrate.ts'

const { values } = parseArgsOrExit({ options: { help: { type: 'boolean', short: 'h' } } })
if (values.help) {
  console.log(`Usage: npm run migrate

Creates or updates Firehose's tables in the database of DATABASE_URL (or PG*), each step once, in order. Safe to repeat
and to run from several places at once.`)
  process.exit(0)
}

const url = readConfigOrExit(() => databaseUrl(process.env))
try {
  const applied = await migrate(url)
  console.log(applied.length === 0 ? 'The tables are up to date.' : `Applied ${applied.join(', ')}.`)
} catch (error) {
  console.error(
    `The migration failed: ${(error as Error).message || String((error as { code?: string }).code)}`,
  )
  process.exitCode = 1
}

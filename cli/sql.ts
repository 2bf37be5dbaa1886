import { databaseTarget } from '../postgres/database-url.ts'
import { onEndRequest } from '../platform/signals.ts'
import { describeError } from '../sink-worker/outage/sqlstate.ts'
import { prompt } from '../tools/sql/prompt.ts'
import { runPsql } from '../tools/sql/psql.ts'
import { SqlSession } from '../tools/sql/session.ts'
import { newCommand, warn } from './command.ts'
import { EXIT_STOPPED } from './stop-on-signal.ts'

const PSQL_NOT_CONNECTED = 2
const HINT = 'select event_id, user_id, "timestamp", metadata from events order by received_at desc limit 5;'

export const command = newCommand(
  'sql',
  `Runs SQL: one statement, or those typed at a prompt. This is psql, if it is installed here; else a prompt that knows its
most frequent commands (\\? lists them). Ctrl-C cancels the statement that runs; \\q or Ctrl-D ends the prompt.`,
)
  .argument(
    '[statement...]',
    'one statement, such as "select count(*) from events" or "\\d events"; without it, a prompt',
  )
  .addHelpText(
    'after',
    `
The database is DATABASE_URL, else that of PG* (see the README), else that of firehose start.
Exit code 0. 1: the statement failed, or PostgreSQL cannot be used. 64: wrong usage. 78: wrong settings. 130: stopped.`,
  )
  .action(async (words: string[]) => {
    process.exitCode = await main(words.join(' ').trim())
  })

async function main(statement: string): Promise<number> {
  const { url, address, warnings } = databaseTarget(process.env)
  warn(warnings)
  if (statement === '' && process.stdin.isTTY) console.log(`PostgreSQL at ${address}. Try:  ${HINT}\n`)
  const exit = await runPsql(url, statement)
  if (exit?.stopped) return EXIT_STOPPED
  if (exit?.code === PSQL_NOT_CONNECTED) console.error(`PostgreSQL at ${address} cannot be used.`)
  if (exit !== undefined) return exit.code === 0 ? 0 : 1
  return await withoutPsql(url, address, statement)
}

async function withoutPsql(url: string, address: string, statement: string): Promise<number> {
  let session: SqlSession
  try {
    session = await SqlSession.open(url)
  } catch (error) {
    console.error(`PostgreSQL at ${address} cannot be used: ${reasonOf(error)}`)
    return 1
  }
  let stopped = false
  const exitNow = (): never => process.exit(EXIT_STOPPED)
  onEndRequest({
    first: () => {
      stopped = true
      if (session.isRunning) session.cancel().catch(exitNow)
      else exitNow()
    },
    again: exitNow,
  })
  const ok = statement === '' ? await prompt(session).then(() => true) : await session.run(statement)
  await session.close()
  if (stopped) return EXIT_STOPPED
  return ok ? 0 : 1
}

function reasonOf(error: unknown): string {
  const refused = (error as { code?: unknown }).code === 'ECONNREFUSED'
  return refused ? 'nothing is listening there (is `npm start` running?)' : describeError(error)
}

import { createInterface } from 'node:readline/promises'
import { type Client, type DatabaseError, Query, type QueryConfig, type ResultBuilder } from 'pg'
import { connect } from '../postgres/connect.ts'
import { planConnection } from '../postgres/connection-plan.ts'
import { databaseTarget } from '../postgres/database-url.ts'
import { formatTable } from '../platform/table.ts'
import { newCommand } from './command.ts'
import { endOnSignal } from './stop-on-signal.ts'

const maxRows = 1_000
const hint = 'select event_id, user_id, "timestamp", metadata from events order by received_at desc limit 5;'

interface Table {
  names: string[]
  rows: (string | null)[][]
  /** Such as SELECT. */
  verb: string
  count: number
}

export const command = newCommand(
  'sql',
  'Runs SQL without psql: one statement, or those typed at a prompt (\\q or Ctrl-D ends it).',
)
  .argument('[statement...]', 'one statement, such as "select count(*) from events"; without it, a prompt')
  .addHelpText('after', '\nThe database is DATABASE_URL, else PG*, else that of `firehose start`.')
  .action(async (words: string[]) => {
    endOnSignal()
    process.exitCode = await main(words.join(' ').trim())
  })

async function main(statement: string): Promise<number> {
  const { url } = databaseTarget(process.env)
  let client: Client
  try {
    client = await connect(url, () => ({ application_name: 'firehose-sql' }))
  } catch (error) {
    const servers = planConnection(url, process.env).hosts.map(({ name }) => name)
    console.error(`PostgreSQL at ${servers.join(', ')} cannot be used: ${reasonOf(error)}`)
    return 1
  }
  const ok = statement ? await run(client, statement) : await prompt(client)
  await client.end()
  return ok ? 0 : 1
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const refused = 'code' in error && error.code === 'ECONNREFUSED'
  return refused ? 'nothing is listening there (is `npm start` running?)' : error.message
}

async function prompt(client: Client): Promise<boolean> {
  console.log(
    `Connected to ${client.database} on ${client.host}:${client.port}. End a statement with ; and quit with \\q`,
  )
  console.log(`Try:  ${hint}\n`)
  const lines = createInterface({ input: process.stdin, output: process.stdout, prompt: 'firehose> ' })
  let closed = false
  lines.once('close', () => {
    closed = true
  })
  client.once('end', () => {
    if (!closed) console.error('\nThe connection to PostgreSQL has ended.')
    lines.close()
  })
  let statement = ''
  lines.prompt()
  for await (const line of lines) {
    if (!statement && /^\s*(\\q|exit|quit)\s*;?\s*$/i.test(line)) break
    statement += `${line}\n`
    if (/;\s*$/.test(line)) {
      await run(client, statement)
      statement = ''
    }
    if (!statement.trim()) statement = ''
    lines.setPrompt(statement ? '      ... ' : 'firehose> ')
    // The input may have ended while the statement ran; lines read before that are still delivered.
    if (!closed) lines.prompt()
  }
  lines.close()
  return true
}

/** Runs one or more statements and prints their results; false after an error. */
async function run(client: Client, statement: string): Promise<boolean> {
  try {
    for (const table of await query(client, statement)) print(table)
    return true
  } catch (error) {
    const { message, code, detail, hint: advice } = error as DatabaseError
    console.error(`ERROR ${code ? `${code}: ` : ''}${message}`)
    if (detail) console.error(`detail: ${detail}`)
    if (advice) console.error(`hint: ${advice}`)
    return false
  }
}

/** Keeps only the first rows, so that a query over all events does not exhaust memory. */
function query(client: Client, text: string): Promise<Table[]> {
  // PostgreSQL's own text of each value: JavaScript would round numbers above 2^53 in jsonb.
  const types = { getTypeParser: () => (value: string) => value }
  const running = client.query(new Query({ text, rowMode: 'array', types } as QueryConfig))
  const kept = new Map<unknown, { rows: (string | null)[][]; count: number }>()
  running.on('row', (row: unknown, result?: unknown) => {
    const seen = kept.get(result) ?? { rows: [], count: 0 }
    kept.set(result, seen)
    seen.count += 1
    if (seen.rows.length < maxRows) seen.rows.push(row as (string | null)[])
  })
  return new Promise((resolve, reject) => {
    running.once('error', reject)
    running.once('end', (end: ResultBuilder | ResultBuilder[]) => {
      const results = Array.isArray(end) ? end : [end]
      resolve(
        results.map((result) => ({
          names: result.fields.map((field) => field.name),
          rows: kept.get(result)?.rows ?? [],
          verb: result.command,
          count: kept.get(result)?.count ?? result.rowCount ?? 0,
        })),
      )
    })
  })
}

function print({ names, rows, verb, count }: Table): void {
  if (names.length === 0) return console.log(`${verb} ${count}`)
  console.log(formatTable(names, rows, process.stdout.isTTY ? 80 : Number.POSITIVE_INFINITY))
  const more = count > rows.length ? `, the first ${rows.length} shown` : ''
  console.log(`(${count} ${count === 1 ? 'row' : 'rows'}${more})\n`)
}

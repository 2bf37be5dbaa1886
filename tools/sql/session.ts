import { type Client, type DatabaseError, Query, type QueryConfig, type ResultBuilder } from 'pg'
import { connect } from '../../postgres/connect.ts'
import { readBackslash } from './backslash.ts'
import { type Table, tableText } from './table-text.ts'

/** Only so many rows of a result are kept, so that a query over all events does not exhaust memory. */
const MAX_ROWS = 1_000

/** One connection for statements that a person types; prints their results. */
export class SqlSession {
  readonly #url: string
  readonly #client: Client
  readonly #pid: number
  #running = false
  #isExpanded = false

  private constructor(url: string, client: Client, pid: number) {
    this.#url = url
    this.#client = client
    this.#pid = pid
  }

  /** @throws what connect() throws */
  static async open(url: string): Promise<SqlSession> {
    const client = await connectTo(url)
    const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
    return new SqlSession(url, client, rows[0]?.pid ?? 0)
  }

  async close(): Promise<void> {
    await this.#client.end()
  }

  /** Calls back when the connection has ended. */
  onEnd(callback: () => void): void {
    this.#client.once('end', callback)
  }

  get isRunning(): boolean {
    return this.#running
  }

  /** Has PostgreSQL cancel what runs. @throws the driver's error */
  async cancel(): Promise<void> {
    const other = await connectTo(this.#url)
    try {
      await other.query('SELECT pg_cancel_backend($1)', [this.#pid])
    } finally {
      await other.end().catch(() => {})
    }
  }

  /** Runs one or more statements, or a line that begins with a backslash. @returns false after an error */
  async run(text: string): Promise<boolean> {
    this.#running = true
    try {
      if (text.trimStart().startsWith('\\')) return await this.#backslash(text)
      for (const table of await this.#query(text)) console.log(tableText(table, this.#isExpanded))
      return true
    } catch (error) {
      const { message, code, detail, hint } = error as DatabaseError
      console.error(`ERROR ${code ? `${code}: ` : ''}${message}`)
      if (detail) console.error(`detail: ${detail}`)
      if (hint) console.error(`hint: ${hint}`)
      return false
    } finally {
      this.#running = false
    }
  }

  async #backslash(line: string): Promise<boolean> {
    const asked = readBackslash(line)
    switch (asked.kind) {
      case 'quit':
        return true
      case 'expanded':
        this.#isExpanded = !this.#isExpanded
        console.log(
          this.#isExpanded ? 'Records are shown from top to bottom.' : 'Records are shown as a table.',
        )
        return true
      case 'say':
        console.log(asked.text)
        return asked.isKnown
      case 'list':
        for (const table of await this.#query(asked.sql)) console.log(tableText(table, false))
        return true
      case 'describe': {
        const tables = (await this.#query(asked.sql)).filter(({ count }) => count > 0)
        for (const table of tables) console.log(tableText(table, false))
        if (tables.length === 0) console.error(`There is no relation ${asked.name}; \\d lists them.`)
        return tables.length > 0
      }
    }
  }

  async #query(text: string): Promise<Table[]> {
    // PostgreSQL's own text of each value: JavaScript would round numbers above 2^53 in jsonb.
    const types = { getTypeParser: () => (value: string) => value }
    const running = this.#client.query(new Query({ text, rowMode: 'array', types } as QueryConfig))
    const kept = new Map<unknown, { rows: (string | null)[][]; count: number }>()
    running.on('row', (row: unknown, result?: unknown) => {
      const seen = kept.get(result) ?? { rows: [], count: 0 }
      kept.set(result, seen)
      seen.count += 1
      if (seen.rows.length < MAX_ROWS) seen.rows.push(row as (string | null)[])
    })
    return await new Promise((resolve, reject) => {
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
}

async function connectTo(url: string): Promise<Client> {
  const client = await connect(url, () => ({ application_name: 'firehose-sql' }))
  client.on('error', () => {})
  return client
}

import { Client } from 'pg'

const limitMs = 1_500

/** Asks a database over and over on one connection, which is replaced when it broke. */
export class DatabaseProbe {
  readonly #url: string
  #client: Client | undefined

  constructor(url: string) {
    this.#url = url
  }

  /** Whether a query is answered within about a second; a frozen server accepts connections and says nothing. */
  async answers(): Promise<boolean> {
    try {
      this.#client ??= await this.#connect()
      await this.#client.query('SELECT 1')
      return true
    } catch {
      this.close()
      return false
    }
  }

  close(): void {
    // A frozen server would never answer the good-bye.
    this.#client?.end().catch(() => {})
    this.#client = undefined
  }

  async #connect(): Promise<Client> {
    const client = new Client({
      connectionString: this.#url,
      application_name: 'firehose-launcher',
      connectionTimeoutMillis: limitMs,
      query_timeout: limitMs,
    })
    client.on('error', () => this.close())
    await client.connect()
    return client
  }
}

import { Client } from 'pg'

const limitMs = 1_500

/** Checks a database repeatedly over one connection, which is replaced if it breaks. */
export class DatabaseProbe {
  readonly #url: string
  #client: Client | undefined

  constructor(url: string) {
    this.#url = url
  }

  /** Whether a query is answered in time. Connecting is not enough: a frozen server still accepts connections. */
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
    // Not awaited: a frozen server never answers the termination.
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

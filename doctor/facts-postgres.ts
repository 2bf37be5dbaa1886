import pg from 'pg'
import { APPLICATION_NAME } from '../postgres/database.ts'
import { EVENT_COLUMN_TYPES, READ_EVENT_COLUMN_TYPES } from '../sink-worker/store/event-table.ts'
import { listMigrations } from '../postgres/migrate.ts'
import { type Reader, readOffsets, type StoredOffset } from '../sink-worker/positions/offsets.ts'
import { SINK_TABLE_PRIVILEGES } from '../postgres/roles.ts'
import type { Look } from './finding.ts'
import { look } from './look.ts'
import * as sql from './postgres-sql.ts'

export interface ServerFacts {
  version_num: number
  version: string
  role: string
  database: string
  in_recovery: boolean
  fsync: boolean
  full_page_writes: boolean
  /** Null for a role that may not see it. */
  data_directory: string | null
  xid_age: number
  connections: number
  connections_limit: number
}

/** Of one role, those of SINK_SETTINGS that are known, as PostgreSQL spells them. */
export interface RoleSettings {
  role: string
  values: Readonly<Record<string, string>>
}

export interface TableFacts {
  found: { name: string; unlogged: boolean }[]
  /** Files of sink-worker/migrations that were not applied; null where this role may not read which were. */
  missingMigrations: string[] | null
  /** Undefined when `events` is missing. */
  events: { types: string; expectedTypes: string; requiredColumns: string[] } | undefined
}

export interface IndexFacts {
  table: string
  name: string
  valid: boolean
  /** Unique over all rows. */
  unique: boolean
  /** Columns, comma-separated. */
  keys: string | null
}

export interface LockFacts {
  table: string
  mode: string
  pid: number | null
  /** Of the transaction. */
  id: string
  /** Of a prepared transaction, which has no session. */
  gid: string | null
  role: string | null
  application: string | null
  isSink: boolean | null
  state: string | null
  ageS: number | null
}

export interface PostgresFacts {
  server: ServerFacts
  /** Of the server's data; what it takes to find them on this machine. */
  systemIdentifier: Look<{ id: string }>
  /** Ours against PostgreSQL's: positive when PostgreSQL is ahead; and how far off that may be. */
  clock: { aheadMs: number; uncertaintyMs: number }
  /** Roles of the sinks that are connected; our own when none is. */
  sinkRoles: { roles: string[]; connected: boolean }
  settings: Look<RoleSettings[]>
  tables: Look<TableFacts>
  indexes: Look<IndexFacts[]>
  missingRights: Look<{ role: string; table: string; privilege: string }[]>
  locks: Look<LockFacts[]>
  wal: Look<{ slots: { name: string; bytes: number }[]; archiving_fails: boolean } | undefined>
  deadLetters: Look<{ reason: string; count: number }[]>
  sizes: Look<{ database: number; events: number }>
}

/** What sink_offsets says of a topic. */
export interface OffsetFacts {
  foreignCluster: string | undefined
  offsets: ReadonlyMap<number, StoredOffset>
}

/** What is asked of the settings of the sink's role. */
const SINK_SETTINGS = [
  'synchronous_commit',
  'default_transaction_read_only',
  'statement_timeout',
  'transaction_timeout',
]
const CONNECT_TIMEOUT_MS = 5_000
const STATEMENT_TIMEOUT_MS = 4_000
const LOCK_TIMEOUT_MS = 1_000

/** Looks at PostgreSQL through one connection, in transactions that cannot write. */
export class PostgresLooker implements Reader {
  readonly #client: pg.Client

  constructor(connectionString: string) {
    this.#client = new pg.Client({
      connectionString,
      application_name: 'firehose-doctor',
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      query_timeout: STATEMENT_TIMEOUT_MS + 1_000,
    })
    this.#client.on('error', () => {})
  }

  /** `host:port/database` for people. */
  get address(): string {
    const { host, port, database } = this.#client
    return `${host}:${port}/${database}`
  }

  /** @throws the driver's error when PostgreSQL cannot be reached or does not let us in */
  async facts(): Promise<PostgresFacts> {
    await this.#client.connect()
    const server = (await this.query<ServerFacts & pg.QueryResultRow>(sql.SERVER)).rows[0] as ServerFacts
    const clock = await this.#clock()
    const connected = await this.#rows<{ role: string }>(sql.SINK_ROLES, [APPLICATION_NAME])
    const roles = connected.length === 0 ? [server.role] : connected.map(({ role }) => role)
    return {
      server,
      systemIdentifier: await look(async () => await this.#one(sql.SYSTEM_IDENTIFIER)),
      clock,
      sinkRoles: { roles, connected: connected.length > 0 },
      settings: await look(async () => await this.#settings(roles, server.role)),
      tables: await look(async () => await this.#tables()),
      indexes: await look(async () => await this.#rows<IndexFacts>(sql.INDEXES, [sql.TABLES])),
      missingRights: await look(async () => await this.#missingRights(roles)),
      locks: await look(async () => await this.locks()),
      wal: await look(async () => (await this.#rows<{ slots: []; archiving_fails: boolean }>(sql.WAL))[0]),
      deadLetters: await look(async () => await this.#rows(sql.DEAD_LETTERS)),
      sizes: await look(async () => await this.#one(sql.SIZES)),
    }
  }

  async locks(): Promise<LockFacts[]> {
    return await this.#rows<LockFacts>(sql.LOCKS, [sql.TABLES, APPLICATION_NAME])
  }

  async offsets(clusterId: string, topic: string): Promise<OffsetFacts> {
    return {
      foreignCluster: undefined,
      offsets: new Map(),
      ...(await readOffsets(this, { clusterId, topic })),
    }
  }

  /** One statement in a transaction of its own that cannot write, and gives up soon. */
  async query<R extends pg.QueryResultRow>(
    statement: string,
    values?: unknown[],
  ): Promise<pg.QueryResult<R>> {
    await this.#client.query(
      `BEGIN READ ONLY; SET LOCAL statement_timeout = ${STATEMENT_TIMEOUT_MS}; SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}`,
    )
    try {
      return await this.#client.query<R>(statement, values)
    } finally {
      await this.#client.query('ROLLBACK').catch(() => {})
    }
  }

  /** Not waited for: PostgreSQL may hang. */
  close(): void {
    this.#client.end().catch(() => {})
  }

  async #rows<R>(statement: string, values?: unknown[]): Promise<R[]> {
    return (await this.query(statement, values)).rows as R[]
  }

  async #one<R>(statement: string, values?: unknown[]): Promise<R> {
    const [row] = await this.#rows<R>(statement, values)
    if (row === undefined) throw new Error('PostgreSQL answered no row')
    return row
  }

  /** The quickest of a few answers tells most exactly. */
  async #clock(): Promise<PostgresFacts['clock']> {
    const tries: PostgresFacts['clock'][] = []
    for (let n = 0; n < 3; n++) {
      const askedMs = Date.now()
      const began = performance.now()
      const { rows } = await this.#client.query<{ ms: number }>(
        'SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS ms',
      )
      const tookMs = performance.now() - began
      tries.push({
        aheadMs: (rows[0]?.ms ?? askedMs) - (askedMs + tookMs / 2),
        uncertaintyMs: tookMs / 2 + 1,
      })
    }
    return tries.reduce((best, next) => (next.uncertaintyMs < best.uncertaintyMs ? next : best))
  }

  async #settings(roles: readonly string[], self: string): Promise<RoleSettings[]> {
    const session = await this.#rows<SessionSetting>(sql.SESSION_SETTINGS, [SINK_SETTINGS])
    const own = await this.#rows<OwnSetting>(sql.ROLE_SETTINGS)
    return roles.map((role) => ({ role, values: effectiveSettings(role, self, session, own) }))
  }

  async #tables(): Promise<TableFacts> {
    const found = await this.#rows<{ name: string; unlogged: boolean }>(sql.FOUND_TABLES, [sql.TABLES])
    if (!found.some(({ name }) => name === 'events')) {
      return { found, missingMigrations: null, events: undefined }
    }
    const { types } = await this.#one<{ types: string }>(READ_EVENT_COLUMN_TYPES)
    const required = await this.#rows<{ name: string }>(sql.REQUIRED_COLUMNS)
    return {
      found,
      missingMigrations: await this.#missingMigrations(),
      events: {
        types,
        expectedTypes: EVENT_COLUMN_TYPES,
        requiredColumns: required.map(({ name }) => name),
      },
    }
  }

  async #missingMigrations(): Promise<string[] | null> {
    const { exists, readable } = await this.#one<{ exists: boolean; readable: boolean }>(
      sql.CAN_READ_MIGRATIONS,
    )
    if (exists && !readable) return null
    const applied = exists ? await this.#rows<{ name: string }>('SELECT name FROM firehose_migrations') : []
    const names = new Set(applied.map(({ name }) => name))
    return (await listMigrations()).filter((name) => !names.has(name))
  }

  async #missingRights(
    roles: readonly string[],
  ): Promise<{ role: string; table: string; privilege: string }[]> {
    const wanted = roles.flatMap((role) => [
      ...Object.entries(SINK_TABLE_PRIVILEGES).flatMap(([table, privileges]) =>
        privileges.map((privilege) => ({ role, table, privilege })),
      ),
      { role, table: '', privilege: 'TEMPORARY' },
    ])
    return await this.#rows(sql.MISSING_RIGHTS, [
      wanted.map(({ role }) => role),
      wanted.map(({ table }) => table),
      wanted.map(({ privilege }) => privilege),
    ])
  }
}

/** A setting of our own session. */
export interface SessionSetting {
  name: string
  value: string
  unit: string | null
  /** Whether our role has it of its own. */
  ofRole: boolean
}

/** A setting of a role, of a database, or of both. */
export interface OwnSetting {
  role: string | null
  ofDatabase: boolean
  name: string
  value: string
}

/**
 * What the settings are for another role's sessions: its own in this database, its own, the database's, the server's.
 * The last is known from our own session, unless our role has its own. Pure.
 */
export function effectiveSettings(
  role: string,
  self: string,
  session: readonly SessionSetting[],
  own: readonly OwnSetting[],
): Record<string, string> {
  const rank = (setting: OwnSetting): number => (setting.role === null ? 0 : 2) + (setting.ofDatabase ? 1 : 0)
  const values: Record<string, string> = {}
  for (const { name, value, unit, ofRole } of session) {
    if (role === self || !ofRole) values[name] = `${value}${unit ?? ''}`
    if (role === self) continue
    const applies = own.filter((one) => one.name === name && (one.role === role || one.role === null))
    const nearest = applies.toSorted((a, b) => rank(b) - rank(a))[0]
    if (nearest !== undefined) values[name] = nearest.value
  }
  return values
}

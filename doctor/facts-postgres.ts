import type pg from 'pg'
import { USER_ID_TYPES, type UserIdType } from '../event/kinds.ts'
import { connect } from '../postgres/connect.ts'
import { APPLICATION_NAME } from '../postgres/database.ts'
import { expectedColumnTypes, READ_EVENT_COLUMN_TYPES } from '../sink-worker/store/event-table.ts'
import { listMigrations } from '../postgres/migrate.ts'
import { type Reader, readOffsets, type StoredOffset } from '../sink-worker/positions/offsets.ts'
import { type Lacking, type NeedFacts, readNeeds } from '../postgres/needs.ts'
import type { Result } from './finding.ts'
import { attempt } from './attempt.ts'
import { type LayoutFacts, readLayoutFacts } from './facts-layout.ts'
import * as sql from './postgres-sql.ts'
import { effectiveSettings, type OwnSetting, type SessionSetting } from './role-settings.ts'

export interface ServerFacts {
  version_num: number
  version: string
  encoding: string
  role: string
  database: string
  in_recovery: boolean
  fsync: boolean
  full_page_writes: boolean
  /** Null if this role may not see it. */
  data_directory: string | null
  xid_age: number
  connections: number
  connections_limit: number
}

/** The known settings of one role among SINK_SETTINGS, as PostgreSQL spells them. */
export interface RoleSettings {
  role: string
  values: Readonly<Record<string, string>>
}

export interface TableFacts {
  found: { name: string; unlogged: boolean }[]
  /** Files of postgres/migrations that were not applied; null if this role may not read firehose_migrations. */
  missingMigrations: string[] | null
  /** Undefined if `events` is missing. */
  events: EventsFacts | undefined
}

interface EventsFacts {
  /** The columns that the sink writes, with their types. */
  types: string
  expectedTypes: string
  /** Undefined if it is neither. */
  userIdType: UserIdType | undefined
  /** As SQL, with the table that requires them. */
  requiredColumns: { name: string; table: string }[]
}

export interface IndexFacts {
  tableOid: number
  table: string
  /** As SQL. */
  name: string
  /** Of a partitioned table: it stands for those of the partitions. */
  isRoot: boolean
  valid: boolean
  /** Unique over all rows: neither partial nor on expressions. */
  unique: boolean
  /** Columns, comma-separated. */
  keys: string | null
  /** The operator class of the first of them. */
  operators: string
}

export interface LockFacts {
  table: string
  isPartition: boolean
  mode: string
  pid: number | null
  /** The transaction's virtual id. */
  id: string
  /** The identifier of a prepared transaction, which has no session; null for others. */
  gid: string | null
  role: string | null
  application: string | null
  isSink: boolean | null
  state: string | null
  ageS: number | null
}

export interface PostgresFacts {
  server: ServerFacts
  /** Identifies the server's data directory. */
  systemIdentifier: Result<{ id: string }>
  /** How far PostgreSQL's clock is ahead of this machine's (negative: behind), and the error of the measurement. */
  clock: { aheadMs: number; uncertaintyMs: number }
  /** The roles of the connected sinks; if none is, those that may write the offsets; else the doctor's own. */
  sinkRoles: { roles: string[]; connected: boolean }
  settings: Result<RoleSettings[]>
  tables: Result<TableFacts>
  /** Undefined if `events` is missing. */
  layout: Result<LayoutFacts | undefined>
  indexes: Result<IndexFacts[]>
  needs: Result<NeedFacts>
  /** What trigger functions of `events` seem to use with the sink's privileges, which lack it. */
  triggers: Result<TriggerNeed[]>
  locks: Result<LockFacts[]>
  wal: Result<{ slots: { name: string; bytes: number }[]; archiving_fails: boolean } | undefined>
  deadLetters: Result<{ reason: string; count: number }[]>
  sizes: Result<{ database: number; events: number }>
}

export interface TriggerNeed extends Lacking {
  trigger: string
  /** With its argument types, as SQL. */
  function: string
}

/** The rows of sink_offsets for one topic. */
export interface OffsetFacts {
  foreignCluster: string | undefined
  offsets: ReadonlyMap<number, StoredOffset>
}

/** The settings of the sink's role that are checked. */
const SINK_SETTINGS = [
  'synchronous_commit',
  'default_transaction_read_only',
  'statement_timeout',
  'transaction_timeout',
]
const STATEMENT_TIMEOUT_MS = 4_000
const LOCK_TIMEOUT_MS = 1_000

/** Inspects PostgreSQL through one connection, in read-only transactions. */
export class PostgresProbe implements Reader {
  readonly #connectionString: string
  #connected: pg.Client | undefined

  constructor(connectionString: string) {
    this.#connectionString = connectionString
  }

  /** Connects again if idle_session_timeout has ended the session between the observations. */
  async #client(): Promise<pg.Client> {
    if (this.#connected !== undefined) return this.#connected
    const client = await connect(this.#connectionString, () => ({
      application_name: 'firehose-doctor',
      query_timeout: STATEMENT_TIMEOUT_MS + 1_000,
    }))
    client.on('error', () => (this.#connected = undefined))
    this.#connected = client
    return client
  }

  /** @throws the driver's error if PostgreSQL cannot be reached or denies access */
  async facts(): Promise<PostgresFacts> {
    const server = (await this.query<ServerFacts & pg.QueryResultRow>(sql.SERVER)).rows[0] as ServerFacts
    const clock = await this.#clock()
    const connected = await this.#rows<{ role: string }>(sql.SINK_ROLES, [APPLICATION_NAME])
    const known = connected.length > 0 ? connected : await this.#rows<{ role: string }>(sql.GRANTED_ROLES)
    const roles = known.length > 0 ? known.map(({ role }) => role) : [server.role]
    return {
      server,
      systemIdentifier: await attempt(async () => await this.#one(sql.SYSTEM_IDENTIFIER)),
      clock,
      sinkRoles: { roles, connected: connected.length > 0 },
      settings: await attempt(async () => await this.#settings(roles, server.role)),
      tables: await attempt(async () => await this.#tables()),
      layout: await attempt(async () => await readLayoutFacts(this)),
      indexes: await attempt(async () => await this.#rows<IndexFacts>(sql.INDEXES, [sql.TABLES])),
      needs: await attempt(async () => await readNeeds(this, roles)),
      triggers: await attempt(async () => await this.#rows<TriggerNeed>(sql.TRIGGER_NEEDS, [roles])),
      locks: await attempt(async () => await this.locks()),
      wal: await attempt(async () => (await this.#rows<{ slots: []; archiving_fails: boolean }>(sql.WAL))[0]),
      deadLetters: await attempt(async () => await this.#rows(sql.DEAD_LETTERS)),
      sizes: await attempt(async () => await this.#one(sql.SIZES)),
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

  /** Runs one statement in a read-only transaction with short timeouts. */
  async query<R extends pg.QueryResultRow>(
    statement: string,
    values?: unknown[],
  ): Promise<pg.QueryResult<R>> {
    const client = await this.#client()
    await client.query(
      `BEGIN READ ONLY; SET LOCAL statement_timeout = ${STATEMENT_TIMEOUT_MS}; SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}`,
    )
    try {
      return await client.query<R>(statement, values)
    } finally {
      await client.query('ROLLBACK').catch(() => {})
    }
  }

  /** Does not wait: PostgreSQL may hang. */
  close(): void {
    this.#connected?.end().catch(() => {})
  }

  async #rows<R>(statement: string, values?: unknown[]): Promise<R[]> {
    return (await this.query(statement, values)).rows as R[]
  }

  async #one<R>(statement: string, values?: unknown[]): Promise<R> {
    const [row] = await this.#rows<R>(statement, values)
    if (row === undefined) throw new Error('PostgreSQL returned no row')
    return row
  }

  /** Measures the clock a few times; the fastest answer is the most exact. */
  async #clock(): Promise<PostgresFacts['clock']> {
    const client = await this.#client()
    const tries: PostgresFacts['clock'][] = []
    for (let n = 0; n < 3; n++) {
      const askedMs = Date.now()
      const began = performance.now()
      const { rows } = await client.query<{ ms: number }>(
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
    const userIdType = USER_ID_TYPES.find((type) => types.split(', ').includes(`user_id ${type}`))
    return {
      found,
      missingMigrations: await this.#missingMigrations(),
      events: {
        types,
        expectedTypes: expectedColumnTypes(types),
        userIdType,
        requiredColumns: await this.#rows(sql.REQUIRED_COLUMNS),
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
}

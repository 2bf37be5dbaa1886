import type { Database } from './database.ts'
import { FenceLostError, type TopicIdentity } from './fence.ts'
import { classifyError } from './sqlstate.ts'
import {
  type Road,
  RowsKeptOutError,
  writeBatch,
  type WriteRequest,
  type WriteResult,
} from './write-batch.ts'

/** What became of a batch. Anything but `stored` stored nothing, or nobody knows: the offsets row tells. */
export type StoreOutcome =
  | { kind: 'stored'; result: WriteResult }
  /** Another worker wrote the range: read the offsets and go on from there. */
  | { kind: 'fence_lost' }
  /** Pause until it works. */
  | { kind: 'failed'; error: unknown }

/** After a duplicate, this many batches without one go the staged road before COPY is tried again. */
const STAGED_BATCHES = 20
/** More refused rows than this, and than half of a batch (or in batches of which nothing was stored), are not the rows' fault. */
const FEW_ROWS = 10
const CONTENTION_ATTEMPTS = 5

/**
 * Which road a batch takes, and when another. Remembers, from batch to batch, that duplicates are about and that rows
 * are being refused: a broken table with one event a batch must not bury them one by one for ever.
 */
export class BatchStore {
  readonly #db: Database
  #stagedToGo = 0
  /** Refused rows of the latest batches of which nothing was stored: with one event a batch, they are all there is. */
  #refusedInARow = 0

  constructor(db: Database) {
    this.#db = db
  }

  /** Each try is a new fenced transaction. Never rejects. */
  async store(identity: TopicIdentity, request: WriteRequest): Promise<StoreOutcome> {
    let road: Road = this.#stagedToGo > 0 ? 'staged' : 'copy'
    for (let contentions = 0; ; ) {
      try {
        const result = await writeBatch(this.#db, identity, request, road, this.#tooMany)
        this.#remember(road, result, request.rows.length)
        return { kind: 'stored', result }
      } catch (error) {
        if (error instanceof FenceLostError) return { kind: 'fence_lost' }
        const next = dearerRoad(road, error)
        if (next !== undefined) {
          road = next
          continue
        }
        if (classifyError(error) !== 'contention') return { kind: 'failed', error }
        if (request.slices.length > 1) return await this.#storeOneByOne(identity, request)
        contentions += 1
        if (contentions === CONTENTION_ATTEMPTS) return { kind: 'failed', error }
      }
    }
  }

  /** After a deadlock: a transaction a partition. What is stored before one fails stays; the offsets tell. */
  async #storeOneByOne(identity: TopicIdentity, request: WriteRequest): Promise<StoreOutcome> {
    const total: WriteResult = { stored: 0, duplicates: 0, dead: 0, refused: 0 }
    for (const slice of request.slices) {
      const isOfSlice = ({ record }: { record: { partition: number } }): boolean =>
        record.partition === slice.partition
      const outcome = await this.store(identity, {
        slices: [slice],
        rows: request.rows.filter(isOfSlice),
        dead: request.dead.filter(isOfSlice),
      })
      if (outcome.kind !== 'stored') return outcome
      for (const name of ['stored', 'duplicates', 'dead', 'refused'] as const)
        total[name] += outcome.result[name]
    }
    return { kind: 'stored', result: total }
  }

  /** A row that was stored proves that the table works; so only batches without one add up. */
  readonly #tooMany = (refused: number, of: number): boolean =>
    (refused > FEW_ROWS && refused > of / 2) || (refused === of && refused + this.#refusedInARow > FEW_ROWS)

  #remember(road: Road, result: WriteResult, rows: number): void {
    if (rows > 0) this.#refusedInARow = result.refused === rows ? this.#refusedInARow + rows : 0
    if (road === 'copy') return
    const isClean = result.stored + result.refused === rows // no duplicate, no id conflict
    this.#stagedToGo = isClean ? Math.max(0, this.#stagedToGo - 1) : STAGED_BATCHES
  }
}

/** The road after an error of rows, or undefined when the error is of another kind or no road is left. */
function dearerRoad(road: Road, error: unknown): Road | undefined {
  if (error instanceof RowsKeptOutError) return 'staged'
  const kind = classifyError(error)
  if (kind === 'unique_violation') return road === 'copy' ? 'staged' : road === 'staged' ? 'split' : undefined
  if (kind === 'row') return road === 'split' ? undefined : 'split'
  return undefined
}

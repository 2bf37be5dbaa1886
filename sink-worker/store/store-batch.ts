import type { TopicIdentity } from '../../event/record/decoded.ts'
import { type BatchLimit, limitAfterStored, limitAfterTimeout, NO_LIMIT } from './batch-limit.ts'
import { countRecords, cutRequest } from './cut-request.ts'
import { FenceLostError, RowsKeptOutError, TooManyRefusedError } from '../errors.ts'
import type { Database } from '../../postgres/database.ts'
import { decodeAgain } from '../../event/record/decode.ts'
import type { Slice } from './fence.ts'
import { classifyError, isTimeout } from '../outage/sqlstate.ts'
import { type WritePath, trySample, writeBatch, type WriteRequest, type WriteResult } from './write-batch.ts'

/**
 * The result of the next transaction. If it is not `stored`, nothing was stored, or the outcome is unknown because the
 * answer to COMMIT was lost; reading sink_offsets again settles it.
 */
export type StoreOutcome =
  | { kind: 'stored'; stored: StoredTransaction; rest: WriteRequest | undefined }
  /** Another worker wrote the range: read the offsets again and continue from them. */
  | { kind: 'fence_lost' }
  /** Pause and retry. */
  | { kind: 'failed'; error: unknown }

/** One committed transaction. */
export interface StoredTransaction {
  slices: readonly Slice[]
  result: WriteResult
  durationMs: number
}

/** After a duplicate, this many batches without one take the staged path before COPY is tried again. */
const STAGED_BATCHES = 20
/**
 * The table is at fault if more rows than this are refused and they are more than half of a batch, or all rows of the
 * latest batches.
 */
const FEW_ROWS = 10
/**
 * The largest transaction on the split path. Splitting takes up to two attempts for each row, and each attempt scans the
 * dead rows that the earlier ones left in the temporary table.
 */
const SPLIT_ROWS = 200
const CONTENTION_ATTEMPTS = 5

/**
 * Decides which write path a write request takes and how much of it goes into one transaction. Remembers from one batch
 * to the next whether there were duplicates, how many rows were refused (otherwise a broken table would dead-letter every
 * event if each batch holds only one), and how large a transaction may be.
 */
export class BatchStore {
  readonly #db: Database
  #stagedToGo = 0
  /** Refused rows in the latest batches, as long as none of those batches stored a row. */
  #refusedInARow = 0
  #limit: BatchLimit = NO_LIMIT
  /** After a deadlock: the number of transactions still to come that hold only one partition each. */
  #singlyToGo = 0

  constructor(db: Database) {
    this.#db = db
  }

  /**
   * Stores the request, or its head, in one transaction; each attempt is a new fenced transaction. The caller passes the
   * rest in its next call, unless its positions have become invalid. Never rejects.
   */
  async storeNext(identity: TopicIdentity, whole: WriteRequest): Promise<StoreOutcome> {
    let request = whole
    let path: WritePath = this.#stagedToGo > 0 ? 'staged' : 'copy'
    let table: 'presumed good' | 'doubted' | 'good' = 'presumed good'
    for (let contentions = 0; ; ) {
      const startedMs = performance.now()
      const [head, rest] = this.#cut(request, path)
      try {
        if (path === 'split' && rest !== undefined && request.witnesses === undefined) {
          request = { ...request, witnesses: await trySample(this.#db, identity, request, this.#tooMany) }
          continue
        }
        if (table === 'doubted') {
          const again = { ...request, rows: request.witnesses ?? [] }
          await trySample(this.#db, identity, again, (refused) => refused > 0)
          table = 'good'
        }
        const tooMany = table === 'good' ? () => false : this.#tooMany
        const result = await writeBatch(this.#db, identity, head, path, tooMany)
        const stored = { slices: head.slices, result, durationMs: performance.now() - startedMs }
        this.#remember(path, head, stored)
        return { kind: 'stored', stored, rest }
      } catch (error) {
        if (error instanceof FenceLostError) return { kind: 'fence_lost' }
        const decoded =
          classifyError(error) === 'row' ? decodeAgain(request.rows, identity, request.userIdType) : undefined
        if (decoded !== undefined) {
          request = { ...request, rows: decoded.rows, dead: [...request.dead, ...decoded.dead] }
          continue
        }
        // Either one client sent many bad events, or the table broke after the sample was taken. The rows that it
        // accepted then decide: if it still accepts them, the table is good.
        const isDoubtful = error instanceof TooManyRefusedError && request.witnesses !== undefined
        if (isDoubtful && table === 'presumed good') {
          table = 'doubted'
          continue
        }
        const next = moreExpensivePath(path, error)
        if (next !== undefined) {
          path = next
          continue
        }
        if (isTimeout(error)) {
          const durationMs = performance.now() - startedMs
          this.#limit = limitAfterTimeout(this.#limit, countRecords(head), durationMs)
        }
        if (classifyError(error) !== 'contention') return { kind: 'failed', error }
        if (head.slices.length > 1) this.#singlyToGo = head.slices.length
        contentions += 1
        if (contentions === CONTENTION_ATTEMPTS) return { kind: 'failed', error }
      }
    }
  }

  #cut(request: WriteRequest, path: WritePath): [WriteRequest, WriteRequest?] {
    const hasRefused = path === 'split' || request.witnesses !== undefined
    const most = hasRefused ? Math.min(this.#limit.records, SPLIT_ROWS) : this.#limit.records
    return cutRequest(request, most, this.#singlyToGo > 0)
  }

  /** A stored row proves that the table works, so only batches without one are added up. */
  readonly #tooMany = (refused: number, of: number): boolean =>
    (refused > FEW_ROWS && refused > of / 2) || (refused === of && refused + this.#refusedInARow > FEW_ROWS)

  #remember(path: WritePath, head: WriteRequest, { result, durationMs }: StoredTransaction): void {
    const rows = head.rows.length
    // The split path runs so many statements that its duration says nothing about the other paths.
    if (path !== 'split') {
      this.#limit = limitAfterStored(this.#limit, countRecords(head), durationMs, this.#db.silenceMs)
    }
    this.#singlyToGo = Math.max(0, this.#singlyToGo - 1)
    const isAllRefused = result.refused === rows && head.witnesses === undefined
    if (rows > 0) this.#refusedInARow = isAllRefused ? this.#refusedInARow + rows : 0
    if (path === 'copy') return
    const isClean = result.stored + result.refused === rows // no duplicate, no id conflict
    this.#stagedToGo = isClean ? Math.max(0, this.#stagedToGo - 1) : STAGED_BATCHES
  }
}

/** The path to take after an error about rows; undefined if the error is of another kind or no path is left. */
function moreExpensivePath(path: WritePath, error: unknown): WritePath | undefined {
  if (error instanceof RowsKeptOutError) return 'staged'
  const kind = classifyError(error)
  if (kind === 'unique_violation') return path === 'copy' ? 'staged' : path === 'staged' ? 'split' : undefined
  if (kind === 'row') return path === 'split' ? undefined : 'split'
  return undefined
}

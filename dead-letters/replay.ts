/**
 * A replay reads letters in key order, one page at a time. For each page it fetches values that are only in Kafka
 * (large-values.ts); then one transaction locks the letters, stores those that can be stored (decide.ts, the sink's split
 * path), sets their state and writes the history. So a letter is `replayed` if and only if its row is in `events`,
 * wherever the replay is interrupted.
 */
import type { Database } from '../postgres/database.ts'
import { commit, openFencedTransaction } from '../sink-worker/store/fence.ts'
import type { DecodedRow, KafkaRecord } from '../event/record/decoded.ts'
import { classifyError } from '../sink-worker/outage/sqlstate.ts'
import { splitPath, type WritePathOutcome } from '../sink-worker/store/write-batch.ts'
import { type Fetched, newEventId, outcomesOf, type Reading, readLetterRow } from './decide.ts'
import type { Letter, LetterKey, LetterState, ReplayOutcome } from './letter.ts'
import { lockLetters, type PageItem, readPage, setState, writeHistory } from './letters.ts'
import type { Selection } from './select.ts'

/** Letters in one transaction, and bytes of their values: bounds memory, and how much is rolled back if it is killed. */
const PAGE_LETTERS = 500
const PAGE_BYTES = 8 * 1024 * 1024
const CONTENTION_ATTEMPTS = 5

export interface ReplayOptions {
  selection: Selection
  /** The state that the letters must be in: open or discarded. */
  state: LetterState
  limit: number
  /** Store an event under a new id if its own id belongs to another event. */
  newId: boolean
  /** Stops after the current transaction. */
  signal: AbortSignal
  largeValues: { fetch(key: LetterKey): Promise<Fetched> }
  onPage: (page: ReplayedPage) => void
}

/** The result of one committed transaction. */
export interface ReplayedPage {
  letters: { letter: Letter; outcome: ReplayOutcome }[]
  /** The number of letters that another session had locked, or changed since they were selected. */
  taken: number
}

/**
 * Replays the selected letters. Pages reported to `onPage` are committed, even if this rejects later.
 *
 * @throws the driver's error if the database is unavailable or the table cannot be written; never because of a letter
 */
export async function replay(db: Database, options: ReplayOptions): Promise<void> {
  let after: LetterKey | undefined
  let left = options.limit
  while (left > 0 && !options.signal.aborted) {
    const selection = { ...options.selection, after }
    const page = await readPage(db, selection, Math.min(left, PAGE_LETTERS), PAGE_BYTES)
    after = page.at(-1)
    if (after === undefined) return
    left -= page.length
    const fetched = await fetchLarge(page, options)
    const letters = await withRetry(async () => await replayPage(db, page, fetched, options))
    options.onPage({ letters, taken: page.length - letters.length })
  }
}

/** Fetches large values before the transaction, so that no locks are held while Kafka is slow. */
async function fetchLarge(
  page: readonly PageItem[],
  { largeValues }: ReplayOptions,
): Promise<Map<string, Fetched>> {
  const fetched = new Map<string, Fetched>()
  for (const item of page) {
    if (item.isLarge) fetched.set(keyText(item), await largeValues.fetch(item))
  }
  return fetched
}

async function withRetry<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      if (classifyError(error) !== 'contention' || attempt === CONTENTION_ATTEMPTS) throw error
    }
  }
}

async function replayPage(
  db: Database,
  page: readonly PageItem[],
  fetched: ReadonlyMap<string, Fetched>,
  { selection: { topic }, state, newId }: ReplayOptions,
): Promise<ReplayedPage['letters']> {
  try {
    const { userIdType } = await openFencedTransaction(db, { clusterId: '', topic }, [])
    const letters = await lockLetters(db, topic, page, state)
    const readRow = (letter: Letter): Reading =>
      readLetterRow(letter, topic, userIdType, fetched.get(keyText(letter)))
    const store = async (rows: readonly Row[]): Promise<WritePathOutcome> =>
      await splitPath(db, rows, { userIdType }, () => false) // never too many: refused letters just stay as they are
    const outcomes = await storeLetters(topic, letters, newId, readRow, store)
    const results = letters.map((letter) => ({ letter, outcome: outcomes.get(letter)! }))
    const stored = results.filter(({ outcome }) => outcome.kind !== 'refused')
    await setState(
      db,
      topic,
      stored.map(({ letter }) => letter),
      'replayed',
    )
    await writeHistory(
      db,
      topic,
      'replay',
      results.map(({ letter, outcome }) => ({ key: letter, entry: entryOf(outcome) })),
    )
    await commit(db)
    return results
  } catch (error) {
    await db.rollback()
    throw error
  }
}

interface Row extends DecodedRow {
  letter: Letter
  note: string | null
}

async function storeLetters(
  topic: string,
  letters: readonly Letter[],
  newId: boolean,
  readRow: (letter: Letter) => Reading,
  storeRows: (rows: readonly Row[]) => Promise<WritePathOutcome>,
): Promise<Map<Letter, ReplayOutcome>> {
  const outcomes = new Map<Letter, ReplayOutcome>()
  const rows: Row[] = []
  for (const letter of letters) {
    const reading = readRow(letter)
    if (reading.ok) rows.push({ letter, ...reading })
    else outcomes.set(letter, reading.outcome)
  }
  const store = async (some: readonly Row[]): Promise<Row[]> => {
    const path = await storeRows(some)
    const byRecord: Map<KafkaRecord, ReplayOutcome> = outcomesOf(some, path)
    for (const { letter, record } of some) outcomes.set(letter, byRecord.get(record)!)
    return some.filter(({ letter }) => isConflict(outcomes.get(letter)!))
  }
  const conflicts = await store(rows)
  if (newId && conflicts.length > 0) await store(conflicts.map((row) => withNewId(row, topic)))
  return outcomes
}

function isConflict(outcome: ReplayOutcome): boolean {
  return outcome.kind === 'refused' && outcome.reason === 'event_id_conflict'
}

function withNewId({ letter, record, row, note }: Row, topic: string): Row {
  const renamed = `stored under a new id: ${row.eventId} belongs to another event`
  return {
    letter,
    record,
    row: { ...row, eventId: newEventId(letter, topic) },
    note: note === null ? renamed : `${renamed}; ${note}`,
  }
}

function entryOf(outcome: ReplayOutcome): Parameters<typeof writeHistory>[3][number]['entry'] {
  if (outcome.kind === 'refused') {
    const { kind, reason, sqlstate, message } = outcome
    return { outcome: kind, eventId: null, reason, sqlstate, message }
  }
  const { kind, eventId, note } = outcome
  return { outcome: kind, eventId, reason: null, sqlstate: null, message: note }
}

function keyText({ clusterId, partition, offset }: LetterKey): string {
  return `${clusterId}/${partition}/${offset}`
}

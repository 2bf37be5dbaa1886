import type { Database } from '../postgres/database.ts'
import { commit } from '../sink-worker/store/fence.ts'
import type { LetterKey } from './letter.ts'
import { lockHeads, readPage, setState, writeHistory } from './letters.ts'
import type { Selection } from './select.ts'

/** Letters in one transaction. */
const PAGE_LETTERS = 1_000

export interface DiscardOptions {
  selection: Selection
  limit: number
  /** The reason, kept in the history. */
  why: string
  /** Stops after the current transaction. */
  signal: AbortSignal
  /** Called after each commit: how many letters it discarded, and how many another session had locked or changed. */
  onPage: (page: { discarded: number; taken: number }) => void
}

/** Discards open letters. They stay in the table and can still be replayed. */
export async function discard(db: Database, options: DiscardOptions): Promise<void> {
  const { topic } = options.selection
  let after: LetterKey | undefined
  let left = options.limit
  while (left > 0 && !options.signal.aborted) {
    const selection = { ...options.selection, after }
    const page = await readPage(db, selection, Math.min(left, PAGE_LETTERS))
    after = page.at(-1)
    if (after === undefined) return
    left -= page.length
    const discarded = await discardPage(db, topic, page, options.why)
    options.onPage({ discarded, taken: page.length - discarded })
  }
}

async function discardPage(
  db: Database,
  topic: string,
  page: readonly LetterKey[],
  why: string,
): Promise<number> {
  const entry = { outcome: 'discarded', eventId: null, reason: null, sqlstate: null, message: why } as const
  try {
    await db.query('BEGIN ISOLATION LEVEL READ COMMITTED')
    const letters = await lockHeads(db, topic, page, 'open')
    await setState(db, topic, letters, 'discarded')
    await writeHistory(
      db,
      topic,
      'discard',
      letters.map((key) => ({ key, entry })),
    )
    await commit(db)
    return letters.length
  } catch (error) {
    await db.rollback()
    throw error
  }
}

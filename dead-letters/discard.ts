import type { Database } from '../postgres/database.ts'
import { commit } from '../sink-worker/store/fence.ts'
import type { LetterKey } from './letter.ts'
import { moveLetters, readPage, takeHeads, writeHistory } from './letters.ts'
import type { Selection } from './select.ts'

/** Of one transaction. */
const PAGE_LETTERS = 1_000

export interface DiscardOptions {
  selection: Selection
  limit: number
  /** Kept in the history. */
  why: string
  /** Ends after the transaction that runs. */
  signal: AbortSignal
  /** After each commit: how many it discarded, and how many someone else had in hand. */
  onPage: (page: { discarded: number; taken: number }) => void
}

/** Discards open letters: they stay in the table, and can still be replayed. */
export async function discard(db: Database, options: DiscardOptions): Promise<void> {
  const { topic } = options.selection
  let behind: LetterKey | undefined
  let left = options.limit
  while (left > 0 && !options.signal.aborted) {
    const selection = { ...options.selection, behind }
    const page = await readPage(db, selection, Math.min(left, PAGE_LETTERS))
    behind = page.at(-1)
    if (behind === undefined) return
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
    await db.query('BEGIN')
    const letters = await takeHeads(db, topic, page, 'open')
    await moveLetters(db, topic, letters, 'discarded')
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

import { TooManyRefusedError } from '../errors.ts'

/** The result of an attempt to store a segment. If it was refused, nothing of the segment is stored. */
export type Attempt = { refused: false } | { refused: true; error: unknown }

/**
 * Finds the refused items by bisection: an accepted segment is stored at once, a refused one is split in half until
 * single items are left. Takes about 2 k log2(n) attempts for k bad items among n.
 *
 * @param store stores a whole segment or nothing; rejects with errors that are not about rows
 * @param tooMany whether this many refused items (of all) mean that something other than the items is at fault
 * @returns the refused items with their errors, in order; all others are stored
 * @throws {TooManyRefusedError}
 */
export async function storeBySplitting<T>(
  items: readonly T[],
  store: (segment: readonly T[]) => Promise<Attempt>,
  tooMany: (refused: number, of: number) => boolean,
): Promise<{ item: T; error: unknown }[]> {
  const refused: { item: T; error: unknown }[] = []
  const check = (error: unknown): void => {
    if (tooMany(refused.length, items.length))
      throw new TooManyRefusedError(refused.length, items.length, error)
  }
  const visit = async (segment: readonly T[]): Promise<void> => {
    if (segment.length === 0) return
    const attempt = await store(segment)
    if (!attempt.refused) return
    const [only, ...rest] = segment
    if (only !== undefined && rest.length === 0) {
      refused.push({ item: only, error: attempt.error })
      check(attempt.error)
      return
    }
    const middle = segment.length >> 1
    await visit(segment.slice(0, middle))
    await visit(segment.slice(middle))
  }
  await visit(items)
  return refused
}

/** Too many rows were refused for the rows to be the reason. */
export class TooManyRefusedError extends Error {
  /** See sqlstate.ts: waits for a person. */
  readonly needsPerson = true
  constructor(refused: number, of: number, cause: unknown) {
    const { code, constraint } = cause as { code?: string; constraint?: string }
    const by = [constraint, code].filter((part) => part !== undefined).join(', ')
    super(
      `${refused} of ${of} rows were refused${by === '' ? '' : ` (${by})`}, so nothing is buried: ` +
        'mend the constraint, trigger or table that refuses them',
      { cause },
    )
    this.name = 'TooManyRefusedError'
  }
}

/** The result of one try to store a segment: refused means that nothing of the segment is stored. */
export type Attempt = { refused: false } | { refused: true; error: unknown }

/**
 * Finds the items that are refused, by halving: a segment that is accepted is stored at once, one that is refused is
 * split until single items are left. About 2 k log2(n) tries for k bad items of n.
 *
 * @param store stores a segment whole or not at all; rejects with an error that is not about rows
 * @param tooMany whether so many refused items (of all) mean that something else is broken
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

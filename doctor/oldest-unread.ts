/** For each partition, the first offset whose record is of this time or later; the end when there is none. */
export type OffsetsByTime = (timestampMs: number) => Promise<ReadonlyMap<number, bigint>>

const FIRST_STEP_MS = 1_000
const PRECISION_MS = 500
/** Of the age. */
const PRECISION = 0.01

/**
 * When the oldest of the unread records was made, by Kafka's index of times: nothing is read and no group is joined.
 *
 * @param from the first unread offset of each partition that has unread records
 * @returns milliseconds since 1970, too early by at most 1 % of the age or half a second; `nowMs` when all are from then
 *   or later
 */
export async function oldestUnread(
  from: ReadonlyMap<number, bigint>,
  offsetsAt: OffsetsByTime,
  nowMs: number,
): Promise<number> {
  /** Whether some of the records at `from` are older than this time. */
  const someOlderThan = async (timestampMs: number): Promise<boolean> => {
    const offsets = await offsetsAt(timestampMs)
    return [...from].some(([partition, offset]) => (offsets.get(partition) ?? offset) > offset)
  }
  if (!(await someOlderThan(nowMs))) return nowMs
  let late = nowMs
  let early = nowMs - FIRST_STEP_MS
  for (let step = FIRST_STEP_MS * 4; early > 0 && (await someOlderThan(early)); step *= 4) {
    late = early
    early = Math.max(0, nowMs - step)
  }
  while (late - early > Math.max(PRECISION_MS, (nowMs - late) * PRECISION)) {
    const middle = Math.floor((early + late) / 2)
    if (await someOlderThan(middle)) late = middle
    else early = middle
  }
  return early
}

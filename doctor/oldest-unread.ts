/** By partition: the first offset whose record has this timestamp or a later one; the end of the log if there is none. */
export type OffsetsByTime = (timestampMs: number) => Promise<ReadonlyMap<number, bigint>>

const FIRST_STEP_MS = 1_000
const PRECISION_MS = 500
/** As a share of the age. */
const PRECISION = 0.01

/**
 * The timestamp of the oldest unread record. Searches Kafka's time index; reads no record and joins no group.
 *
 * @param from the first unread offset of each partition that has unread records
 * @returns milliseconds since 1970, too early by at most 1 % of the age or half a second; `nowMs` if no record is older
 */
export async function oldestUnread(
  from: ReadonlyMap<number, bigint>,
  offsetsAt: OffsetsByTime,
  nowMs: number,
): Promise<number> {
  /** Whether one of the records at `from` is older than this time. */
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

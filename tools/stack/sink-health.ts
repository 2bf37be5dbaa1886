/** The part of a sink's /health that tools and tests read. */
export interface SinkHealth {
  state: string
  reason?: string
  needs_person: boolean
  partitions: { partition: number; next_offset: number; lag: number; held_back: number; stopped?: string }[]
  group: { id: string; unread_partitions: number[] | null; other_topics: string[] | null }
  total_stored: number
  total_duplicates: number
  total_dead: number
  total_expired: number
}

/** Generous, because a sink that is draining on a busy machine may answer slowly. */
const HEALTH_LIMIT_MS = 3_000

/** /health of each sink that answers. */
export async function healthOf(sinkUrls: readonly string[]): Promise<SinkHealth[]> {
  const answers = sinkUrls.map(async (url) => {
    try {
      const response = await fetch(`${url}/health`, { signal: AbortSignal.timeout(HEALTH_LIMIT_MS) })
      return [(await response.json()) as SinkHealth]
    } catch {
      return []
    }
  })
  return (await Promise.all(answers)).flat()
}

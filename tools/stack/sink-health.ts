/** What is read of a sink's /health. */
export interface SinkHealth {
  state: string
  reason?: string
  total_stored: number
  partitions: { partition: number; next_offset: number }[]
}

/** A sink that drains on a busy machine may take its time. */
const HEALTH_LIMIT_MS = 3_000

/** Of each sink that answers. */
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

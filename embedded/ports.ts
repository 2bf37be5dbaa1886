import { createServer } from 'node:net'

/** Whether nothing listens on this port of 127.0.0.1. */
export function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

/**
 * Distinct free ports, below the range that systems use for outgoing connections (from 32768 on), so that none is
 * taken by chance while its server is being restarted.
 */
export async function freePorts(count: number): Promise<number[]> {
  const found = new Set<number>()
  while (found.size < count) {
    const port = 20_000 + Math.floor(Math.random() * 12_000)
    if (await isPortFree(port)) found.add(port)
  }
  return [...found]
}

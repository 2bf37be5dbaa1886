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
 * Free ports, all different. They lie below the range that systems take for outgoing connections (32768
 * on), so nobody takes one by chance while its server is down between kill and restart.
 */
export async function freePorts(count: number): Promise<number[]> {
  const found = new Set<number>()
  while (found.size < count) {
    const port = 20_000 + Math.floor(Math.random() * 12_000)
    if (await isPortFree(port)) found.add(port)
  }
  return [...found]
}

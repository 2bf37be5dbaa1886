import { readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'

/** Of /proc/net/tcp: the state ESTABLISHED, the timer of keepalive, and its ticks in a second. */
const ESTABLISHED = '01'
const KEEPALIVE = '02'
const TICKS = 100

/**
 * When the server that listens on a port next asks whether its only client is there; undefined if that cannot be seen on
 * this system, or it has no such connection.
 *
 * @returns seconds
 */
export async function keepaliveS(port: string): Promise<number | undefined> {
  const end = `:${Number(port).toString(16).toUpperCase().padStart(4, '0')}`
  for (let attempt = 0; attempt < 50; attempt++) {
    const tables = await Promise.all(
      ['tcp', 'tcp6'].map(async (name) => await readFile(`/proc/net/${name}`, 'utf8').catch(() => '')),
    )
    for (const line of tables.join('\n').split('\n')) {
      const [, local = '', , state, , timer = ''] = line.trim().split(/\s+/)
      if (state !== ESTABLISHED || !local.endsWith(end)) continue
      const [kind, ticks = ''] = timer.split(':')
      if (kind === KEEPALIVE) return Number.parseInt(ticks, 16) / TICKS
    }
    await delay(20) // the acknowledgement of what was sent last is timed first
  }
  return undefined
}

import { connect, isIP } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { ISocketFactory } from 'kafkajs'

const KEEP_ALIVE_MS = 60_000
/** Stands for a colon in an IPv6 address, in which it cannot occur. */
const COLON = '/'

/**
 * A broker's address as kafkajs must be given it: it splits addresses at each colon, so the address in `[::1]:9092` needs
 * another character. The addresses that Kafka itself names are not split.
 */
export function seedAddress(broker: string): string {
  return broker.replace(/^\[.*\]/, (host) => host.replaceAll(':', COLON))
}

/** The `socketFactory` option of kafkajs: connects, with TLS if `ssl` is set, to hosts in the form of seedAddress() too. */
export const openSocket: ISocketFactory = ({ host: named, port, ssl, onConnect }) => {
  const host = named.startsWith('[') ? named.slice(1, -1).replaceAll(COLON, ':') : named
  // Contrary to its types, kafkajs may pass `true`.
  const options = typeof ssl === 'object' ? ssl : {}
  const socket = ssl
    ? connectTls({ host, port, ...(isIP(host) ? {} : { servername: host }), ...options }, onConnect)
    : connect({ host, port }, onConnect)
  socket.setKeepAlive(true, KEEP_ALIVE_MS)
  socket.setNoDelay(true) // requests are written whole, so there is nothing to wait for
  return socket
}

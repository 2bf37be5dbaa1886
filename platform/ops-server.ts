import type { AddressInfo } from 'node:net'
import type { Router } from '@koa/router'
import Koa from 'koa'
import type { Logger } from './log.ts'
import { type Ops, probeRoutes, reportRoutes } from './ops-routes.ts'

/** Where a service's own HTTP server listens. */
export interface OpsAddress {
  host: string
  /** 0: any free one. */
  port: number
  /** The setting of the port. */
  variable: string
}

/**
 * Serves what a service reports to its operators. If the port is taken, says so and ends the process.
 *
 * @param onListening called with the port
 * @param more further routes
 * @returns a function that closes the server with all its connections
 */
export function serveOps(
  ops: Ops,
  { host, port, variable }: OpsAddress,
  logger: Logger,
  onListening: (port: number) => void,
  more: readonly Router[] = [],
): () => void {
  const app = new Koa()
  app.use(probeRoutes(ops).routes())
  app.use(reportRoutes(ops).routes())
  for (const router of more) app.use(router.routes())
  const server = app.listen(port, host, () => onListening((server.address() as AddressInfo).port))
  server.on('error', (error: NodeJS.ErrnoException) => {
    const taken = `port ${port} is in use: set ${variable} to a free one`
    logger.fatal(error.code === 'EADDRINUSE' ? taken : error.message)
    process.exit(1)
  })
  return () => {
    server.close()
    server.closeAllConnections()
  }
}

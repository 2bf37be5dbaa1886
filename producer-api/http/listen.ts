import type { Logger } from '../../platform/log.ts'
import type { ApiConfig } from '../config.ts'
import type { ApiService } from '../service.ts'

/** Starts listening, then connects to Kafka. If listening fails, prints the reason and exits with status 1. */
export function listen({ server, connect }: ApiService, { host, port }: ApiConfig, logger: Logger): void {
  server.on('error', (error: NodeJS.ErrnoException) => {
    const where = `${host.includes(':') ? `[${host}]` : host}:${port}`
    const why =
      error.code === 'EADDRINUSE'
        ? `${where} is in use by another program: stop it, or set PORT to a free port.`
        : `The API cannot listen on ${where}: ${error.message}.`
    process.stderr.write(`${why}\n`)
    process.exit(1)
  })
  server.listen(port, host, () => {
    const address = server.address()
    logger.info({ host, port: typeof address === 'object' ? (address?.port ?? port) : port }, 'listening')
    connect()
  })
}

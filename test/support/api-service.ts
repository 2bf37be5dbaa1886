import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import type { KeyStore } from '../../access/key-store.ts'
import { createLogger } from '../../platform/log.ts'
import { readApiConfig } from '../../producer-api/config.ts'
import type { Published, Publisher } from '../../producer-api/delivery/publisher.ts'
import { type ApiService, createService } from '../../producer-api/service.ts'

/** The API in this process, listening on a free port, for tests of HTTP: in place of Kafka, `publish` is called. */
export async function listeningService(
  env: NodeJS.ProcessEnv,
  publish: Publisher['publish'] = async (): Promise<Published> => ({ baseOffset: 0n }),
  keys?: KeyStore,
): Promise<{ service: ApiService; port: number }> {
  const publisher = {
    connect: (onAvailable: () => void) => onAvailable(),
    availablePartitions: () => [0],
    publish,
    ready: () => ({ ok: true }) as const,
    close: async () => {},
  }
  const service = createService(readApiConfig(env), publisher, createLogger('test', 'silent'), keys)
  service.connect()
  service.server.listen(0, '127.0.0.1')
  await once(service.server, 'listening')
  const { port } = service.server.address() as AddressInfo
  return { service, port }
}

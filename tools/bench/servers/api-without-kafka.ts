// The API with a publisher that resolves at once: measures its costs without kafkajs and the broker.
import { readApiConfig } from '../../../producer-api/config.ts'
import { listen } from '../../../producer-api/http/listen.ts'
import { createService } from '../../../producer-api/service.ts'
import { createLogger } from '../../../platform/log.ts'

const partitions = [0, 1, 2, 3]
const config = readApiConfig(process.env)
const logger = createLogger('api-without-kafka', config.logLevel)
const publisher = {
  connect: (onAvailable: () => void) => onAvailable(),
  availablePartitions: () => partitions,
  publish: async () => ({ baseOffset: 0n }),
  ready: () => ({ ok: true }) as const,
  close: async () => {},
}
listen(createService(config, publisher, logger), config, logger)

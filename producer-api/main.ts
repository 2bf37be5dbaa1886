import { KeyStore } from '../access/key-store.ts'
import { createKafka } from '../kafka/client.ts'
import { createLogger } from '../platform/log.ts'
import { exitOnUncaughtError, onShutdownSignal, readConfigOrExit } from '../platform/shutdown.ts'
import { readApiConfig } from './config.ts'
import { listen } from './http/listen.ts'
import { ProduceSockets } from '../kafka/producer/produce-socket.ts'
import { KafkaPublisher } from '../kafka/producer/kafka-publisher.ts'
import { createService } from './service.ts'

const config = readConfigOrExit(() => readApiConfig(process.env))
const logger = createLogger('producer-api', config.logLevel)
exitOnUncaughtError(logger)
for (const warning of config.warnings) logger.warn(warning)
const { keysFile } = config.frontDoor
const keys = keysFile === undefined ? undefined : readConfigOrExit(() => KeyStore.open(keysFile, logger))
const { socketFactory, prepareSend } = new ProduceSockets()
const kafka = createKafka(config.kafka, 'firehose-api', logger, socketFactory)
const publisher = new KafkaPublisher(kafka, config.topic, logger, prepareSend)
const service = createService(config, publisher, logger, keys)
listen(service, config, logger)
onShutdownSignal(service.drain, config.shutdownTimeoutMs, logger)

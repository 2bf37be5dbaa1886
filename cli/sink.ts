import { parseArgsOrExit } from './args.ts'
import { createLogger } from '../runtime/log.ts'
import { readConfigOrExit } from '../runtime/shutdown.ts'
import { readSinkConfig } from '../sink-worker/config.ts'
import { KafkaTopicInspector } from '../sink-worker/consumer.ts'
import { Database } from '../sink-worker/database.ts'
import { moveOffsets } from '../sink-worker/resolve.ts'

const HELP = `Usage: npm run sink                                        start the sink worker
       npm run sink -- adopt [--partition N]               read the topic as it is now, from its first record
       npm run sink -- rewind --to OFFSET [--partition N]  read again from an offset (0: all that is retained)

The sink stops a partition when its offsets can not be right: the topic was recreated, belongs to another cluster, or
lost records. If the topic as it is now is the right one, "adopt" it; if the database was restored or rows were
deleted, "rewind". Both only move offsets in PostgreSQL: what is stored stays, and what is read again is recognised by
its event_id. A running sink goes on within 30 s.

Settings: see the README.`

const { positionals, values } = parseArgsOrExit({
  allowPositionals: true,
  options: { help: { type: 'boolean', short: 'h' }, to: { type: 'string' }, partition: { type: 'string' } },
})
const [command] = positionals

if (values.help) console.log(HELP)
else if (values.partition !== undefined && !/^\d+$/.test(values.partition)) {
  console.error(`--partition must be a number, not "${values.partition}".`)
  process.exitCode = 64
} else if (command === undefined) await import('../sink-worker/main.ts')
else if (command === 'adopt' && values.to === undefined) process.exitCode = await move(0n)
else if (command === 'rewind' && /^\d+$/.test(values.to ?? ''))
  process.exitCode = await move(BigInt(values.to ?? ''))
else {
  console.error(HELP)
  process.exitCode = 64 // EX_USAGE of sysexits.h
}

async function move(offset: bigint): Promise<number> {
  const config = readConfigOrExit(() => readSinkConfig(process.env))
  const database = new Database(config.database, config.databaseTimeoutMs)
  const inspector = new KafkaTopicInspector(config.kafka, config.topic, createLogger('sink', 'silent'))
  try {
    const description = await inspector.describe()
    await database.open()
    const partitions = values.partition === undefined ? undefined : [Number(values.partition)]
    for (const { partition, from, to } of await moveOffsets(
      database,
      description,
      config.topic.name,
      offset,
      partitions,
      command === 'adopt',
    )) {
      console.log(
        `partition ${partition}: ${from === null ? 'new' : `from ${from}`}, next offset is now ${to}`,
      )
    }
    return 0
  } catch (error) {
    console.error(`Nothing was moved: ${(error as Error).message}`)
    return 1
  } finally {
    await database.close()
  }
}

import { once } from 'node:events'
import { rootMessage } from '../kafka/errors.ts'
import { readKafkaConfig } from '../kafka/settings.ts'
import { escapeControls } from '../platform/escape-controls.ts'
import { UsageError } from '../platform/usage-error.ts'
import { tail } from '../tools/tail/tail.ts'
import { rawLine, recordLine, undecodableText } from '../tools/tail/tail-text.ts'
import { newCommand } from './command.ts'
import { kafkaAddress } from './command-settings.ts'
import { stopOnSignal } from './stop-on-signal.ts'

interface Values {
  json?: true
  limit?: string
}

export const command = newCommand(
  'tail',
  `Prints every record that arrives in the topic from now on, also while PostgreSQL or the sink is down: the time at
which it was received (UTC), partition:offset, event_id, the user (or the visitor in brackets), event_name if there is one,
and as much of the metadata as fits on the line. A record that is not an event is printed with the reason why it will be a
dead letter.`,
)
  .option('--json', "print only the records' values, one per line; reasons go to standard error")
  .option('--limit <N>', 'end after N records')
  .addHelpText(
    'after',
    `
It reads by offset: it is no member of a consumer group, commits nothing, and changes nothing for the sinks. Records of
open transactions are printed once they are committed. If Kafka goes away, it waits, and then reads on where it was.

Environment: KAFKA_BOOTSTRAP_SERVERS (127.0.0.1:19092), KAFKA_TOPIC (events) and the other KAFKA_ settings.
Exit code 0: after Ctrl-C, --limit, or the end of the reader of a pipe. 2: Kafka could not be read. 64: wrong usage.`,
  )
  .action(async (values: Values) => {
    process.exitCode = await main(values)
  })

/** @throws {UsageError} */
async function main(values: Values): Promise<number> {
  if (values.limit !== undefined && !/^[1-9]\d{0,14}$/.test(values.limit))
    throw new UsageError(`--limit must be a number from 1, not "${values.limit}".`)
  const { connection, topic } = readKafkaConfig(process.env)
  const closed = new AbortController()
  process.stdout.on('error', () => closed.abort()) // such as `firehose tail | head`
  const signal = AbortSignal.any([stopOnSignal(() => {}), closed.signal])
  const print = async (line: string): Promise<void> => {
    if (!process.stdout.write(`${line}\n`)) await once(process.stdout, 'drain', { signal }).catch(() => {})
  }
  try {
    await tail({
      connection,
      topic: topic.name,
      limit: values.limit === undefined ? Number.POSITIVE_INFINITY : Number(values.limit),
      signal,
      onStart: (count) => {
        const partitions = `${count} partition${count === 1 ? '' : 's'}`
        say(`Waiting for records of topic ${topic.name} (${partitions}); Ctrl-C ends this.`)
      },
      onRecord: async (record, identity) => {
        if (!values.json) {
          await print(recordLine(record, identity, process.stdout.columns ?? Number.POSITIVE_INFINITY))
          return
        }
        const undecodable = undecodableText(record, identity)
        if (undecodable !== undefined) say(undecodable)
        const line = rawLine(record.value)
        if (line !== undefined) await print(line)
      },
      onTrouble: say,
    })
    return 0
  } catch (error) {
    if (signal.aborted) return 0
    say(`Kafka at ${kafkaAddress(connection.brokers)} cannot be read: ${rootMessage(error)}.`)
    return 2
  }
}

function say(text: string): void {
  process.stderr.write(`${escapeControls(text)}\n`)
}

import { UsageError } from '../platform/usage-error.ts'
import { newCommand } from './command.ts'

export const command = newCommand(
  'sink',
  'The sink worker: stores the events from Kafka in PostgreSQL, each exactly once.',
)
  .argument('[command]', '"adopt" or "rewind": the commands `firehose adopt` and `firehose rewind`')
  .addHelpText('after', '\nSettings: see the README.')
  .action(async (word: string | undefined) => {
    // firehose.ts has recognised "adopt" and "rewind" before.
    if (word !== undefined) throw new UsageError(`There is no command "${word}".`)
    await import('../sink-worker/main.ts')
  })

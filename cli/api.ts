import { settingsHelp } from '../producer-api/config.ts'
import { newCommand } from './command.ts'

export const command = newCommand('api', 'The HTTP API: accepts events and writes them to Kafka.')
  .addHelpText('after', `\n${settingsHelp().trimEnd()}`)
  .action(async () => {
    await import('../producer-api/main.ts')
  })

import { newCommand } from './command.ts'
import { createCommand } from './keys-create.ts'
import { listCommand } from './keys-list.ts'
import { revokeCommand } from './keys-revoke.ts'
import { rotateCommand } from './keys-rotate.ts'

export const command = newCommand(
  'keys',
  `The keys with which clients show the API who they are. They are in one file, which has no secret, only its SHA-256. An API
that reads the file uses a change within 5 s.`,
)
  .usage('COMMAND [options]')
  .helpCommand(false)
  .addCommand(createCommand)
  .addCommand(listCommand)
  .addCommand(revokeCommand)
  .addCommand(rotateCommand)
  .addHelpText(
    'after',
    `
firehose keys COMMAND --help describes a command.
Environment: API_KEYS_FILE.
Exit code 0: done. 1: it cannot be done. 64: wrong usage. 78: the file cannot be read, or is wrong.`,
  )

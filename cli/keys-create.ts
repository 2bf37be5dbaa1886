import { createKey } from '../access/change-keys.ts'
import type { Key } from '../access/key-file.ts'
import { KEY_KINDS, newSecret } from '../access/secret.ts'
import { changeKeyFile } from '../access/write-key-file.ts'
import { instant } from '../platform/units.ts'
import { collect } from './command.ts'
import { type FileOption, howToUse, keysCommand, onKeyFile, printSecret } from './keys-file.ts'
import { expiryOf, type KeyOptions, keyOf, wholeSeconds } from './keys-options.ts'

interface Values extends FileOption, KeyOptions {
  expires?: string
}

export const createCommand = keysCommand(
  'create',
  'adds a key, and prints its secret',
  `Adds a key to the file, which is made if there is none. The secret is printed once, alone on standard output, so that it
can be piped; everything else is said on standard error.`,
)
  .argument('<LABEL>', 'names the key for people, in lists, logs and metrics')
  .requiredOption('--kind <KIND>', KEY_KINDS.join(', '))
  .option('--origin <ORIGIN>', 'for browser: from where pages are loaded; may be repeated', collect, [])
  .option('--expires <WHEN>', 'a duration such as 90d, or a date such as 2030-01-01 (UTC); by default never')
  .option('--events-per-second <N>', 'a limit for this key (KEY_EVENTS_PER_SECOND)')
  .option('--burst <N>', 'how many events may come at once, at least 1,000 (KEY_BURST)')
  .addHelpText(
    'after',
    `
Kinds:
  browser  for web pages: may only send events, and only from pages of its origins. Everybody can read it in the page
  server   for programs: may only send events; refused when a page sends it
  read     for the console: may look at events
  operate  for the console: may also work on dead letters

Example: firehose keys create shop --kind browser --origin https://shop.example.com --events-per-second 500`,
  )
  .action(async (label: string, values: Values) => {
    const nowMs = wholeSeconds(Date.now())
    const expiresMs = values.expires === undefined ? undefined : expiryOf(values.expires, nowMs)
    const key = keyOf(label, values)
    const { text, id, sha256 } = newSecret(key.kind)
    const whole: Key = { ...key, secrets: [{ id, sha256, createdMs: nowMs, expiresMs }] }
    process.exitCode = await onKeyFile(values, async (path) => {
      changeKeyFile(path, (file) => createKey(file, whole))
      await printSecret(text, `npx firehose keys rotate ${label} --overlap 0s`)
      const until = expiresMs === undefined ? '' : `, and expires at ${instant(expiresMs)}`
      return `Key "${label}" (${key.kind}) is in ${path}${until}. Its secret ${id} is on standard output. ${howToUse('The secret', key.kind)}`
    })
  })

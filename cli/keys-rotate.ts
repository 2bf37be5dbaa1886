import { keyWithLabel, rotateKey } from '../access/change-keys.ts'
import type { Key } from '../access/key-file.ts'
import { newSecret } from '../access/secret.ts'
import { changeKeyFile } from '../access/write-key-file.ts'
import { instant } from '../platform/units.ts'
import { type FileOption, howToUse, keysCommand, onKeyFile, printSecret } from './keys-file.ts'
import { checkName, expiryOf, overlapOf, wholeSeconds } from './keys-options.ts'

interface Values extends FileOption {
  overlap: string
  expires?: string
}

export const rotateCommand = keysCommand(
  'rotate',
  'gives a key a new secret; the old one ends after an overlap',
  `Gives a key a new secret, which is printed as by create. The old ones work until the overlap is over, unless they expire
before. Secrets of the key that have expired are removed from the file.`,
)
  .argument('<LABEL>', 'the key')
  .requiredOption(
    '--overlap <DURATION>',
    'how long the old secret still works, such as 7d; 0s ends it at once',
  )
  .option(
    '--expires <WHEN>',
    'as for create; by default, the new secret lasts as long as the one before was to',
  )
  .action(async (label: string, values: Values) => {
    checkName(label)
    const nowMs = wholeSeconds(Date.now())
    const overlapMs = overlapOf(values.overlap)
    const expiresMs = values.expires === undefined ? undefined : expiryOf(values.expires, nowMs)
    process.exitCode = await onKeyFile(values, async (path) => {
      let text = ''
      const file = changeKeyFile(path, (before) => {
        const key = keyWithLabel(before, label)
        const { id, sha256, ...made } = newSecret(key.kind)
        text = made.text
        const secret = { id, sha256, createdMs: nowMs, expiresMs: expiresMs ?? sameLifetime(key, nowMs) }
        return rotateKey(before, label, secret, { nowMs, overlapMs })
      })
      await printSecret(text, `npx firehose keys rotate ${label} --overlap ${values.overlap}`)
      const key = keyWithLabel(file, label)
      return `${rotatedText(key)} ${howToUse('The new secret', key.kind)}`
    })
  })

/** The new secret lasts as long as the newest one was to last. */
function sameLifetime({ secrets }: Key, nowMs: number): number | undefined {
  const { createdMs = 0, expiresMs } = secrets.at(-1) ?? {}
  return expiresMs === undefined ? undefined : nowMs + expiresMs - createdMs
}

function rotatedText({ label, secrets }: Key): string {
  const { id, expiresMs } = secrets.at(-1) ?? {}
  const old = secrets.slice(0, -1).map((each) => `${each.id} until ${instant(each.expiresMs ?? 0)}`)
  const until = expiresMs === undefined ? '' : `, and expires at ${instant(expiresMs)}`
  const valid = old.length === 0 ? 'APIs refuse the old one within 5 s.' : `Still valid: ${old.join(', ')}.`
  return `Key "${label}" has the new secret ${id}, which is on standard output${until}. ${valid}`
}

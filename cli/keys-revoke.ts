import { revokeKey } from '../access/change-keys.ts'
import { changeKeyFile } from '../access/write-key-file.ts'
import { type FileOption, keysCommand, onKeyFile } from './keys-file.ts'
import { checkName } from './keys-options.ts'

export const revokeCommand = keysCommand(
  'revoke',
  'removes a key, or one secret of it',
  `Removes a key from the file, with all its secrets; or a single secret, by its id. APIs that read the file refuse it within
5 s. A file without keys is not the same as no file: such an API refuses everybody.`,
)
  .argument('<LABEL|ID>', 'the label of a key, or the id of a secret')
  .action(async (name: string, values: FileOption) => {
    checkName(name)
    process.exitCode = await onKeyFile(values, (path) => {
      const { keys } = changeKeyFile(path, (file) => revokeKey(file, name))
      const revoked = `"${name}" is revoked: APIs that read ${path} refuse it within 5 s.`
      if (keys.length > 0) return revoked
      return `${revoked} No key is left: these APIs now refuse everybody, and do not start again without a key.`
    })
  })

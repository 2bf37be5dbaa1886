import type { Key, Secret } from '../access/key-file.ts'
import { readKeyFile } from '../access/read-key-file.ts'
import { formatTable } from '../platform/table.ts'
import { count, instant } from '../platform/units.ts'
import { type FileOption, keysCommand, onKeyFile } from './keys-file.ts'

interface Values extends FileOption {
  json?: true
}

const CELL_WIDTH = 100

export const listCommand = keysCommand(
  'list',
  'prints the keys, without anything secret',
  'Prints the keys, a line for each secret. Neither secrets nor their digests are shown.',
)
  .option('--json', 'print one JSON object')
  .action(async (values: Values) => {
    process.exitCode = await onKeyFile(values, (path) => {
      const { keys } = readKeyFile(path)
      const print = values.json ? keysJson : keysText
      process.stdout.write(`${print(keys, Date.now())}\n`)
      return ''
    })
  })

/** The keys as a table. Pure. */
function keysText(keys: readonly Key[], nowMs: number): string {
  if (keys.length === 0) return 'There are no keys.'
  const rows = keys.flatMap((key) =>
    key.secrets.map((secret) => [
      key.label,
      key.kind,
      secret.id,
      instant(secret.createdMs),
      expiryText(secret, nowMs),
      key.origins.join(' '),
      limitText(key),
    ]),
  )
  return formatTable(['label', 'kind', 'id', 'created', 'expires', 'origins', 'limit'], rows, CELL_WIDTH)
}

/** The keys as JSON, with the members of the key file except for the digests. Pure. */
function keysJson(keys: readonly Key[], nowMs: number): string {
  const shown = keys.map(({ label, kind, origins, eventsPerSecond, burst, secrets }) => ({
    label,
    kind,
    origins,
    events_per_second: eventsPerSecond ?? null,
    burst: burst ?? null,
    secrets: secrets.map((secret) => ({
      id: secret.id,
      created: instant(secret.createdMs),
      expires: secret.expiresMs === undefined ? null : instant(secret.expiresMs),
      is_expired: isExpired(secret, nowMs),
    })),
  }))
  return JSON.stringify({ keys: shown }, null, 2)
}

function expiryText(secret: Secret, nowMs: number): string {
  if (secret.expiresMs === undefined) return 'never'
  return `${isExpired(secret, nowMs) ? 'expired ' : ''}${instant(secret.expiresMs)}`
}

function isExpired({ expiresMs }: Secret, nowMs: number): boolean {
  return expiresMs !== undefined && expiresMs <= nowMs
}

function limitText({ eventsPerSecond, burst }: Key): string {
  const rate = eventsPerSecond === undefined ? [] : [`${count(eventsPerSecond)}/s`]
  return [...rate, ...(burst === undefined ? [] : [`burst ${count(burst)}`])].join(', ') || 'default'
}

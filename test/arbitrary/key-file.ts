/** Generators for the content of key files. */
import * as fc from 'fast-check'
import type { Key, KeyFile, Secret } from '../../access/key-file.ts'
import { KEY_KINDS } from '../../access/secret.ts'

const LETTERS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const text = (letters: string, minLength: number, maxLength: number): fc.Arbitrary<string> =>
  fc.string({ unit: fc.constantFrom(...letters.split('')), minLength, maxLength })

/** Whole seconds of the years 2000 to 2100, as milliseconds. */
export const timeMs = fc.integer({ min: 946_684_800, max: 4_102_444_800 }).map((seconds) => seconds * 1_000)

export const label = fc
  .tuple(text(LETTERS, 1, 1), text(`${LETTERS}._-`, 0, 62))
  .map(([first, rest]) => first + rest)

/** So that deepEqual() compares the drawn objects with parsed ones. */
const ORDINARY = { noNullPrototype: true } as const

const secret: fc.Arbitrary<Secret> = fc.record(
  {
    id: text(LETTERS, 8, 8),
    sha256: text('0123456789abcdef', 64, 64),
    createdMs: timeMs,
    expiresMs: fc.option(timeMs, { nil: undefined }),
  },
  ORDINARY,
)

const limit = (min: number, max: number): fc.Arbitrary<number | undefined> =>
  fc.option(fc.integer({ min, max }), { nil: undefined })

const key: fc.Arbitrary<Key> = fc
  .record({
    label,
    kind: fc.constantFrom(...KEY_KINDS),
    origins: fc.subarray(['https://shop.example', 'https://*.shop.example:8443', 'capacitor://localhost']),
    eventsPerSecond: limit(1, 1_000_000),
    burst: limit(1_000, 10_000_000),
    secrets: fc.array(secret, { minLength: 1, maxLength: 3 }),
  })
  .map((drawn) => ({ ...drawn, origins: drawn.kind === 'browser' ? drawn.origins : [] }))

/** Labels, ids and digests are unique in it. */
export const keyFile: fc.Arbitrary<KeyFile> = fc
  .uniqueArray(key, { selector: ({ label: name }) => name, maxLength: 6 })
  .filter((keys) => {
    const secrets = keys.flatMap((each) => each.secrets)
    return ['id', 'sha256'].every(
      (member) => new Set(secrets.map((each) => each[member as keyof Secret])).size === secrets.length,
    )
  })
  .map((keys) => ({ keys }))

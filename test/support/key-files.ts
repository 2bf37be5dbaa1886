import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { formatKeyFile, type Key } from '../../access/key-file.ts'
import { type KeyKind, newSecret } from '../../access/secret.ts'

/** A key and the text of its secret. */
export interface Made {
  key: Key
  text: string
}

export function makeKey(label: string, kind: KeyKind, change: Partial<Key> = {}, expiresMs?: number): Made {
  const { text, id, sha256 } = newSecret(kind)
  const secrets = [{ id, sha256, createdMs: 0, expiresMs }]
  const key = { label, kind, origins: [], eventsPerSecond: undefined, burst: undefined, secrets, ...change }
  return { key, text }
}

/** A key file in a folder of its own, which is removed after the test. */
export class KeyFileFixture {
  readonly path: string
  readonly #dir = mkdtempSync(join(tmpdir(), 'firehose-keys-'))

  constructor(...made: Made[]) {
    this.path = join(this.#dir, 'keys.json')
    this.write(...made)
  }

  static of(t: Pick<TestContext, 'after'>, ...made: Made[]): KeyFileFixture {
    const fixture = new KeyFileFixture(...made)
    t.after(() => fixture.remove())
    return fixture
  }

  /** Replaces the file, as `firehose keys` does. */
  write(...made: Made[]): void {
    this.writeText(formatKeyFile({ keys: made.map(({ key }) => key) }))
  }

  writeText(text: string): void {
    writeFileSync(`${this.path}.new`, text, { mode: 0o600 })
    renameSync(`${this.path}.new`, this.path)
  }

  remove(): void {
    rmSync(this.#dir, { recursive: true, force: true })
  }
}

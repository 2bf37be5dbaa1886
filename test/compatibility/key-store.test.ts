import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import pino from 'pino'
import { createKey, revokeKey, rotateKey } from '../../access/change-keys.ts'
import { formatKeyFile, type Key } from '../../access/key-file.ts'
import { KeyStore } from '../../access/key-store.ts'
import { newSecret } from '../../access/secret.ts'
import { changeKeyFile } from '../../access/write-key-file.ts'
import { ConfigError } from '../../platform/env.ts'
import { until } from '../support/until.ts'

/* What a service with keys does when the key file changes. All of it has to happen within 5 s. */

const LIMIT_MS = 5_000
const root = mkdtempSync(join(tmpdir(), 'firehose-store-'))
const stores: KeyStore[] = []
after(() => {
  for (const store of stores) store.close()
  rmSync(root, { recursive: true, force: true })
})

interface Line {
  level: number
  msg: string
  problem?: string
}

function newKey(label: string, expiresMs?: number): { key: Key; text: string } {
  const { text, ...secret } = newSecret('server')
  const secrets = [{ ...secret, createdMs: 0, expiresMs }]
  return {
    key: { label, kind: 'server', origins: [], eventsPerSecond: undefined, burst: undefined, secrets },
    text,
  }
}

const shop = newKey('shop')
const app = newKey('app')
const TWO = formatKeyFile({ keys: [shop.key, app.key] })
const ONE = formatKeyFile({ keys: [app.key] })

let folders = 0
function newFolder(): string {
  const folder = join(root, String(folders++))
  mkdirSync(folder)
  return folder
}

/** A store that watches a key file, with both keys unless another text is given. */
class Site {
  readonly folder = newFolder()
  readonly path = join(this.folder, 'keys.json')
  readonly lines: Line[] = []
  readonly store: KeyStore
  changes = 0

  constructor(prepare: (site: Site) => void = () => writeFileSync(this.path, TWO)) {
    prepare(this)
    const write = (line: string): void => void this.lines.push(JSON.parse(line) as Line)
    this.store = KeyStore.open(this.path, pino({ level: 'debug' }, { write }))
    this.store.onChange(() => (this.changes += 1))
    this.store.watch()
    stores.push(this.store)
  }

  /** What find() says of a text: the label of its key, 'expired', or undefined. */
  find(text: string, nowMs = Date.now()): string | undefined {
    const live = this.store.ring.find(text, nowMs)
    return typeof live === 'object' ? live.key.label : live
  }

  replaceByRename(text: string): void {
    writeFileSync(`${this.path}.other`, text)
    renameSync(`${this.path}.other`, this.path)
  }

  async becomes(what: string, condition: () => boolean): Promise<void> {
    await until(what, condition, LIMIT_MS)
  }

  async hasProblem(problem: string | undefined): Promise<void> {
    await this.becomes(`problem: ${problem}`, () => this.store.status.problem === problem)
  }

  get said(): (string | undefined)[] {
    return this.lines.map(({ level, msg, problem }) => (level === 40 ? problem : msg))
  }
}

/** Waits until every other store has read its file again: one that was opened now reads later than all of them. */
async function oneMoreReading(): Promise<void> {
  const clock = new Site()
  writeFileSync(clock.path, ONE)
  await clock.becomes('read', () => clock.changes === 1)
  clock.store.close()
}

describe('the key file at the start', () => {
  const refused = (text: string | undefined): string[] => {
    const path = join(newFolder(), 'keys.json')
    if (text !== undefined) writeFileSync(path, text)
    try {
      KeyStore.open(path, pino({ level: 'silent' }))
    } catch (error) {
      assert.ok(error instanceof ConfigError, String(error))
      return error.problems.map((problem) => problem.replaceAll(path, 'PATH'))
    }
    return []
  }

  test('missing, empty, broken, or without a key, it is a wrong setting', () => {
    assert.deepEqual(refused(undefined), [
      'API_KEYS_FILE cannot be read: PATH: no such file or directory ("npx firehose keys create" makes it)',
    ])
    assert.deepEqual(refused(''), ['API_KEYS_FILE is wrong: PATH: it is empty'])
    assert.deepEqual(refused('{"keys":[]}'), [
      'API_KEYS_FILE has no key: PATH ("npx firehose keys create" adds one)',
    ])
    assert.deepEqual(refused(ONE.replace('"kind"', '"kinds"')), [
      'API_KEYS_FILE is wrong: PATH: key "app" has the unknown member "kinds"',
      'API_KEYS_FILE is wrong: PATH: key "app": "kind" must be one of browser, server, read, operate',
    ])
    assert.deepEqual(refused(ONE), [])
  })

  test('a folder or a pipe is not waited for', () => {
    const folder = newFolder()
    const pipe = join(folder, 'pipe')
    assert.equal(spawnSync('mkfifo', [pipe]).status, 0)
    for (const path of [folder, pipe])
      assert.throws(() => KeyStore.open(path, pino({ level: 'silent' })), {
        name: 'ConfigError',
        message: `API_KEYS_FILE cannot be read: ${path}: it is not a file of at most 1 MiB`,
      })
  })
})

describe('the key file while a service runs', { concurrency: true }, () => {
  test('a key that was revoked is refused, and the others are not', async () => {
    const site = new Site()
    assert.deepEqual([site.find(shop.text), site.find(app.text)], ['shop', 'app'])
    changeKeyFile(site.path, (file) => revokeKey(file, 'shop'))
    await site.becomes('revoked', () => site.find(shop.text) === undefined)
    assert.equal(site.find(app.text), 'app')
    assert.deepEqual([site.changes, site.store.status.keys, site.said], [1, 1, ['the keys have changed']])
  })

  test('after a rotation both secrets are good until the overlap is over; another key is good at once', async () => {
    const site = new Site()
    const { text, ...secret } = newSecret('server')
    const nowMs = Math.floor(Date.now() / 1_000) * 1_000
    const other = newKey('other')
    changeKeyFile(site.path, (file) =>
      createKey(
        rotateKey(
          file,
          'shop',
          { ...secret, createdMs: nowMs, expiresMs: undefined },
          { nowMs, overlapMs: 60_000 },
        ),
        other.key,
      ),
    )
    await site.becomes('rotated', () => site.find(text) === 'shop')
    assert.deepEqual([site.find(shop.text), site.find(other.text)], ['shop', 'other'])
    assert.equal(site.find(shop.text, nowMs + 59_999), 'shop')
    assert.equal(site.find(shop.text, nowMs + 60_000), 'expired')
    assert.equal(site.find(text, nowMs + 60_000), 'shop')
  })

  test('a secret expires by the clock, without any change of the file', async () => {
    const brief = newKey('brief', Math.ceil(Date.now() / 1_000 + 1) * 1_000)
    const site = new Site(({ path }) => writeFileSync(path, formatKeyFile({ keys: [brief.key] })))
    assert.equal(site.find(brief.text), 'brief')
    await site.becomes('expired', () => site.find(brief.text) === 'expired')
    assert.equal(site.changes, 0)
  })

  test('a file that was replaced by a rename, with another inode, is read', async () => {
    const site = new Site()
    site.replaceByRename(ONE)
    await site.becomes('read', () => site.find(shop.text) === undefined)
  })

  test('a folder that is exchanged behind a link, as Kubernetes does it, is read', async () => {
    const site = new Site(({ folder, path }) => {
      mkdirSync(join(folder, '..first'))
      writeFileSync(join(folder, '..first', 'keys.json'), TWO)
      symlinkSync('..first', join(folder, '..data'))
      symlinkSync(join('..data', 'keys.json'), path)
    })
    assert.equal(site.find(shop.text), 'shop')
    const data = join(site.folder, '..data')
    mkdirSync(join(site.folder, '..second'))
    writeFileSync(join(site.folder, '..second', 'keys.json'), ONE)
    symlinkSync('..second', `${data}_tmp`)
    renameSync(`${data}_tmp`, data)
    rmSync(join(site.folder, '..first'), { recursive: true })
    await site.becomes('read', () => site.find(shop.text) === undefined)
    assert.deepEqual(site.said, ['the keys have changed'])
  })

  test('emptied, broken, deleted: the keys stay, each problem is logged once, and so is its end', async () => {
    const site = new Site()
    const { path } = site
    const { ring } = site.store
    const problems = {
      empty: `API_KEYS_FILE is wrong: ${path}: it is empty`,
      broken: `API_KEYS_FILE is wrong: ${path}: key "shop": "kind" must be one of browser, server, read, operate (and 1 more)`,
      deleted: `API_KEYS_FILE cannot be read: ${path}: no such file or directory ("npx firehose keys create" makes it)`,
    }
    writeFileSync(path, '')
    await site.hasProblem(problems.empty)
    await oneMoreReading()
    writeFileSync(path, TWO.replaceAll('"server"', '"servant"'))
    await site.hasProblem(problems.broken)
    rmSync(path)
    await site.hasProblem(problems.deleted)
    assert.equal(site.store.ring, ring)
    assert.deepEqual([site.find(shop.text), site.find(app.text)], ['shop', 'app'])
    writeFileSync(path, TWO)
    await site.hasProblem(undefined)
    assert.deepEqual(site.said, [...Object.values(problems), 'the key file can be used again'])
    assert.deepEqual([site.store.ring, site.changes], [ring, 0])
    for (const hidden of [shop.text, app.text, ...[shop, app].map(({ key }) => key.secrets[0]!.sha256)])
      assert.ok(!JSON.stringify(site.lines).includes(hidden))
  })

  test('a file that comes back with other keys is used', async () => {
    const site = new Site()
    rmSync(site.path)
    await site.becomes('missing', () => site.store.status.problem !== undefined)
    site.replaceByRename(ONE)
    await site.becomes('used', () => site.find(shop.text) === undefined)
    await site.hasProblem(undefined)
    assert.equal(site.find(app.text), 'app')
  })

  test('a file that is too large, and one that became a folder, are problems, too', async () => {
    const site = new Site()
    writeFileSync(site.path, TWO + ' '.repeat(1024 * 1024))
    const problem = `API_KEYS_FILE cannot be read: ${site.path}: it is not a file of at most 1 MiB`
    await site.hasProblem(problem)
    rmSync(site.path)
    mkdirSync(site.path)
    await oneMoreReading()
    assert.equal(site.find(shop.text), 'shop')
    assert.deepEqual(site.said.slice(0, 1), [problem])
  })

  test('when the last key is revoked, everybody is refused; a start needs a key again', async () => {
    const site = new Site(({ path }) => writeFileSync(path, ONE))
    changeKeyFile(site.path, (file) => revokeKey(file, 'app'))
    await site.becomes('refused', () => site.find(app.text) === undefined)
    assert.deepEqual([site.store.status.keys, site.store.status.problem], [0, undefined])
    const open = (): KeyStore => KeyStore.open(site.path, pino({ level: 'silent' }))
    assert.throws(open, { name: 'ConfigError' })
    changeKeyFile(site.path, (file) => createKey(file, shop.key))
    assert.equal(open().ring.keys.length, 1)
    await site.becomes('accepted', () => site.find(shop.text) === 'shop')
  })

  test('an unchanged text changes nothing, even in a new file', async () => {
    const site = new Site()
    const { ring, status } = site.store
    site.replaceByRename(readFileSync(site.path, 'utf8'))
    await oneMoreReading()
    assert.deepEqual([site.store.ring, site.changes, site.said], [ring, 0, []])
    assert.deepEqual(site.store.status, status)
  })

  test('it does not keep a process alive', async () => {
    const { path } = new Site()
    const module = new URL('../../access/key-store.ts', import.meta.url).href
    const script = `import { KeyStore } from '${module}'; KeyStore.open(${JSON.stringify(path)}, {}).watch()`
    const { status, signal } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      timeout: 20_000,
    })
    assert.deepEqual([status, signal], [0, null])
  })
})

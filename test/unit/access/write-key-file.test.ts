import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { createKey } from '../../../access/change-keys.ts'
import { formatKeyFile, type Key, type KeyFile, parseKeyFile } from '../../../access/key-file.ts'
import { newSecret } from '../../../access/secret.ts'
import { changeKeyFile } from '../../../access/write-key-file.ts'

const root = mkdtempSync(join(tmpdir(), 'firehose-keys-'))
const children: ChildProcess[] = []
after(() => {
  for (const child of children) child.kill('SIGKILL')
  rmSync(root, { recursive: true, force: true })
})

let folders = 0
/** The path of a key file in a folder of its own. */
function newPath(): string {
  const folder = join(root, String(folders++))
  mkdirSync(folder)
  return join(folder, 'keys.json')
}

function keyOf(label: string): Key {
  const { text: _, ...secret } = newSecret('server')
  return {
    label,
    kind: 'server',
    origins: [],
    eventsPerSecond: undefined,
    burst: undefined,
    secrets: [{ ...secret, createdMs: 0, expiresMs: undefined }],
  }
}

const add = (path: string, label: string): KeyFile =>
  changeKeyFile(path, (file) => createKey(file, keyOf(label)))
const labels = (path: string): string[] =>
  parseKeyFile(readFileSync(path, 'utf8')).keys.map(({ label }) => label)
const modeOf = (path: string): string => (statSync(path).mode & 0o7777).toString(8)

test('a new file is for its owner alone, and nothing else is left in the folder', () => {
  const path = newPath()
  const file = add(path, 'a')
  assert.equal(readFileSync(path, 'utf8'), formatKeyFile(file))
  assert.equal(modeOf(path), '600')
  assert.deepEqual(readdirSync(join(path, '..')), ['keys.json'])
  // Shorter than what the lock had in it.
  changeKeyFile(path, () => ({ keys: [] }))
  assert.equal(readFileSync(path, 'utf8'), formatKeyFile({ keys: [] }))
})

test('a file that is there keeps its mode and, if root changes it, its owner', () => {
  const path = newPath()
  add(path, 'a')
  chmodSync(path, 0o640)
  const isRoot = process.getuid?.() === 0
  if (isRoot) chownSync(path, 10_001, 10_002)
  const before = statSync(path)
  add(path, 'b')
  const now = statSync(path)
  assert.deepEqual(labels(path), ['a', 'b'])
  assert.notEqual(now.ino, before.ino, 'it was replaced')
  assert.deepEqual([now.mode, now.uid, now.gid], [before.mode, before.uid, before.gid])
})

test('links to links are followed to a file that is not there yet, also relative ones in a linked folder', () => {
  const target = newPath()
  const folder = join(root, 'deep', 'er')
  mkdirSync(folder, { recursive: true })
  symlinkSync(folder, join(root, 'short'))
  symlinkSync(target, join(root, 'deep', 'to-target'))
  symlinkSync('../to-target', join(folder, 'keys.json'))
  for (const label of ['a', 'b']) add(join(root, 'short', 'keys.json'), label)
  assert.equal(parseKeyFile(readFileSync(target, 'utf8')).keys.length, 2)
  assert.ok(lstatSync(join(root, 'deep', 'to-target')).isSymbolicLink())
})

test('a link is followed, also to a file that is not there yet', () => {
  const target = newPath()
  const link = newPath()
  symlinkSync(target, link)
  add(link, 'a')
  add(link, 'b')
  assert.ok(lstatSync(link).isSymbolicLink())
  assert.equal(readlinkSync(link), target)
  assert.deepEqual(labels(target), ['a', 'b'])
  assert.deepEqual(readdirSync(join(link, '..')), ['keys.json'])
})

test('whatever goes wrong, the file stays as it was, and the next change works', () => {
  const path = newPath()
  add(path, 'a')
  const before = readFileSync(path, 'utf8')
  const many = Array.from({ length: 1_000 }, (_, n) => keyOf(`key-${n}`))
  for (const [change, message] of [
    [() => assert.fail('no'), /no/],
    [(file: KeyFile) => createKey(file, keyOf('a')), /^KeyChangeError: there is a key "a" already/],
    [
      (file: KeyFile) => ({ keys: [...file.keys, ...many] }),
      /^KeyChangeError: the key file .* cannot be changed so, because it has more than 1000 keys$/,
    ],
  ] as const) {
    assert.throws(() => changeKeyFile(path, change), message)
    assert.equal(readFileSync(path, 'utf8'), before)
    assert.equal(existsSync(`${path}.new`), false)
  }
  add(path, 'b')
  assert.deepEqual(labels(path), ['a', 'b'])
})

test('a file that is wrong is not replaced', () => {
  const path = newPath()
  for (const text of ['', '{"keys":', '{"keys":[{"label":"a"}]}']) {
    writeFileSync(path, text)
    assert.throws(() => add(path, 'a'), { name: 'ConfigError' })
    assert.equal(readFileSync(path, 'utf8'), text)
    assert.equal(existsSync(`${path}.new`), false)
  }
})

test('a folder that is not there is named with the reason', () => {
  const path = join(root, 'none', 'keys.json')
  assert.throws(() => add(path, 'a'), {
    name: 'KeyChangeError',
    message: `the key file ${path} cannot be changed: its folder does not exist; make it, or, if it is in a volume of docker compose, run "docker compose run --rm cli keys"`,
  })
  mkdirSync(join(root, 'none'))
  add(path, 'a')
})

/** Runs a module in a process of its own; `changeKeyFile`, `path` and `fs` are there. */
function run(path: string, code: string, options: { uid?: number } = {}): ChildProcess {
  const module = new URL('../../../access/write-key-file.ts', import.meta.url).href
  const script = `import * as fs from 'node:fs'; import { changeKeyFile } from '${module}'; const path = ${JSON.stringify(path)}; ${code}`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['pipe', 'pipe', 'pipe'],
    ...options,
  })
  children.push(child)
  return child
}

/** A process that is changing the keys until its standard input ends. */
async function holder(path: string): Promise<ChildProcess> {
  const child = run(
    path,
    "changeKeyFile(path, (file) => { fs.writeSync(1, 'held'); fs.readSync(0, Buffer.alloc(1)); return file })",
  )
  await once(child.stdout!, 'data')
  return child
}

test('while another process changes the keys, it is named, and a later attempt works', async () => {
  const path = newPath()
  add(path, 'a')
  const child = await holder(path)
  assert.throws(() => add(path, 'b'), {
    name: 'KeyChangeError',
    message: new RegExp(
      `^process ${child.pid} on ${hostname()} has been changing the keys since 20\\d\\d-\\S+Z and holds ${path}.new: try again later, or delete that file if the process was killed$`,
    ),
  })
  child.stdin?.end()
  await once(child, 'exit')
  add(path, 'b')
  assert.deepEqual(labels(path), ['a', 'b'])
})

test('a process that was killed leaves the old keys, and its file until someone deletes it', async () => {
  const path = newPath()
  add(path, 'a')
  const child = await holder(path)
  child.kill('SIGKILL')
  await once(child, 'exit')
  assert.deepEqual(labels(path), ['a'])
  assert.throws(
    () => add(path, 'b'),
    new RegExp(`process ${child.pid} on .* delete that file if the process was killed$`),
  )
  rmSync(`${path}.new`)
  add(path, 'b')
  assert.deepEqual(labels(path), ['a', 'b'])
})

test('a FILE.new with anything else in it is in the way as well, and its content is not shown', () => {
  const path = newPath()
  writeFileSync(`${path}.new`, 'process 1 on \u001b[2J fh_server_x\n')
  assert.throws(
    () => add(path, 'a'),
    /^KeyChangeError: another process has been changing the keys since \S+ and holds \S+: try/,
  )
})

test('readers see whole files only, while another process changes them again and again', async () => {
  const path = newPath()
  add(path, 'a')
  const code = `for (let n = 0; n < 60; n += 1) changeKeyFile(path, ({ keys: [key] }) => ({ keys: n % 2 ? [key] : [key, ...Array.from({ length: 50 }, (_, i) => ({ ...key, label: 'k' + i, secrets: [{ ...key.secrets[0], id: 'i' + (1000000 + i), sha256: String(i).padStart(64, '0') }] }))] }))`
  const child = run(path, code)
  const ended = once(child, 'exit')
  const seen = new Map<number, number>()
  while (child.exitCode === null) {
    const { length } = labels(path)
    seen.set(length, (seen.get(length) ?? 0) + 1)
    await new Promise(setImmediate)
  }
  assert.deepEqual(await ended, [0, null])
  assert.deepEqual(
    [...seen.keys()].toSorted((a, b) => a - b),
    [1, 51],
  )
})

test('a user who cannot keep the owner of the file is refused, and root is not', async (t) => {
  if (process.getuid?.() !== 0) return t.skip('needs root')
  chmodSync(root, 0o755)
  const path = newPath()
  chmodSync(join(path, '..'), 0o777)
  add(path, 'a')
  chmodSync(path, 0o644)
  const nobody = run(
    path,
    'try { changeKeyFile(path, (file) => file) } catch (error) { fs.writeSync(1, error.message) }',
    {
      uid: 65_534,
    },
  )
  const [said] = (await Promise.race([once(nobody.stdout!, 'data'), once(nobody, 'exit')])) as [Buffer]
  assert.equal(
    String(said),
    `the key file ${path} belongs to user 0 and group 0, and you cannot make another one of theirs: run this as root or as that user`,
  )
  assert.deepEqual(readdirSync(join(path, '..')), ['keys.json'])
  add(path, 'b')
  assert.deepEqual(labels(path), ['a', 'b'])
})

test('a file that is mounted by itself, as containers may have it, cannot be replaced; in a mounted folder it can', (t) => {
  const path = newPath()
  const other = newPath()
  add(path, 'a')
  add(other, 'other')
  const folderOf = (file: string): string => join(file, '..')
  const mount = (from: string, to: string): boolean => spawnSync('mount', ['--bind', from, to]).status === 0
  if (!mount(path, other)) return t.skip('needs the right to mount')
  try {
    assert.throws(() => add(other, 'b'), {
      name: 'KeyChangeError',
      message: `the key file ${other} cannot be changed: it is mounted by itself; mount its folder instead`,
    })
    assert.deepEqual(readdirSync(folderOf(other)), ['keys.json'])
  } finally {
    spawnSync('umount', [other])
  }
  assert.ok(mount(folderOf(path), folderOf(other)))
  try {
    add(other, 'b')
  } finally {
    spawnSync('umount', [folderOf(other)])
  }
  assert.deepEqual([labels(path), labels(other)], [['a', 'b'], ['other']])
})

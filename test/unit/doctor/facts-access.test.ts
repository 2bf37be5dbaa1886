import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { after, test } from 'node:test'
import { formatKeyFile } from '../../../access/key-file.ts'
import { newSecret } from '../../../access/secret.ts'
import { checkKeyFile } from '../../../doctor/check-key-file.ts'
import { readKeyFacts } from '../../../doctor/facts-access.ts'
import type { Finding } from '../../../doctor/finding.ts'
import { runLine } from '../../support/run-firehose.ts'
import { healthy } from './healthy.ts'

const dir = mkdtempSync(join(tmpdir(), 'firehose-doctor-keys-'))
after(() => rmSync(dir, { recursive: true }))

const { id, sha256 } = newSecret('server')
const TEXT = formatKeyFile({
  keys: [
    {
      label: 'app',
      kind: 'server',
      origins: [],
      eventsPerSecond: undefined,
      burst: undefined,
      secrets: [{ id, sha256, createdMs: 0, expiresMs: undefined }],
    },
  ],
})

test('keys and permissions are read, also behind a link: those of the folders in which it can be replaced', async () => {
  mkdirSync(join(dir, 'real'))
  writeFileSync(join(dir, 'real', 'keys.json'), TEXT)
  chmodSync(join(dir, 'real', 'keys.json'), 0o604)
  chmodSync(join(dir, 'real'), 0o703)
  symlinkSync(join(dir, 'real', 'keys.json'), join(dir, 'link.json'))
  const facts = await readKeyFacts(join(dir, 'link.json'))
  assert.ok(facts.kind === 'read')
  assert.deepEqual(
    facts.keys.map(({ label }) => label),
    ['app'],
  )
  assert.equal(facts.mode & 0o7777, 0o604)
  assert.deepEqual(
    facts.folders.map(({ path, mode }) => [basename(path), mode & 0o7777]),
    [
      ['real', 0o703],
      [basename(dir), 0o700],
    ],
  )
  assert.ok(Math.abs(facts.atMs - Date.now()) < 60_000)
})

test('who can read or change the file, or replace it, is said with the commands that end it', async () => {
  mkdirSync(join(dir, 'open'))
  const path = join(dir, 'open', 'keys.json')
  writeFileSync(path, TEXT)
  const findings = async (): Promise<Finding[]> =>
    checkKeyFile({ ...healthy(), keyFile: await readKeyFacts(path) })
  for (const [mode, folderMode, level] of [
    [0o644, 0o755, 'warning'],
    [0o646, 0o755, 'critical'],
    [0o600, 0o777, 'critical'],
  ] as const) {
    chmodSync(path, mode)
    chmodSync(join(dir, 'open'), folderMode)
    const [open, ...others] = await findings()
    assert.deepEqual([open?.level, others], [level, []])
    assert.equal((await runLine(open?.mend ?? '', {})).code, 0)
    assert.deepEqual(
      (await findings()).map((finding) => finding.level),
      ['ok'],
    )
  }
})

test('a link to the file that anybody can replace is a finding, too', async () => {
  for (const name of ['closed', 'links']) mkdirSync(join(dir, name), { mode: 0o700 })
  writeFileSync(join(dir, 'closed', 'keys.json'), TEXT, { mode: 0o600 })
  const path = join(dir, 'links', 'keys.json')
  symlinkSync('../closed/keys.json', path)
  chmodSync(join(dir, 'links'), 0o777)
  const findings = async (): Promise<Finding[]> =>
    checkKeyFile({ ...healthy(), keyFile: await readKeyFacts(path) })
  const [open] = await findings()
  assert.equal(open?.level, 'critical')
  assert.equal((await runLine(open.mend ?? '', {})).code, 0)
  assert.deepEqual(
    (await findings()).map(({ level }) => level),
    ['ok'],
  )
})

test('a file that is missing, or no file, is unreadable; one with faults is wrong, and nothing of it is shown', async () => {
  const missing = await readKeyFacts(join(dir, 'missing.json'))
  assert.ok(missing.kind === 'unreadable')
  assert.match(missing.problems.join(), /^cannot be read: .*missing\.json: no such file/)
  assert.equal((await readKeyFacts(dir)).kind, 'unreadable')
  const path = join(dir, 'wrong.json')
  writeFileSync(path, TEXT.replace('"sha256"', '"sha-of-it"'))
  const wrong = await readKeyFacts(path)
  assert.ok(wrong.kind === 'wrong')
  assert.match(wrong.problems.join(), /^is wrong: .*wrong\.json: key "app"/)
  assert.ok(!wrong.problems.join().includes(sha256))
})

import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { parseKeyFile } from '../../access/key-file.ts'
import { KeyRing } from '../../access/key-ring.ts'
import { readSecret } from '../../access/secret.ts'
import { type Ended, runFirehose, runLine } from '../support/run-firehose.ts'

/* `firehose keys` as a process. What it says to do is done, and then works. */

const root = mkdtempSync(join(tmpdir(), 'firehose-keys-cli-'))
after(() => rmSync(root, { recursive: true, force: true }))

let folders = 0
function newPath(): string {
  const folder = join(root, String(folders++))
  mkdirSync(folder)
  return join(folder, 'keys.json')
}

async function keys(path: string, line: string): Promise<Ended> {
  return await runFirehose({ API_KEYS_FILE: path }, 'keys', ...line.split(' '))
}

/** Runs a command that an error has quoted, as `"npx firehose keys ..."`. */
async function quoted(path: string, { err }: Ended): Promise<Ended> {
  const [, line = ''] = /"npx firehose keys ([^"]+)"/.exec(err) ?? []
  return await keys(path, line)
}

/** A secret, alone on standard output. */
function secretIn({ code, out, err }: Ended): string {
  assert.equal(code, 0, err)
  assert.match(out, /^fh_\S+\n$/)
  assert.ok(typeof readSecret(out.trimEnd()) === 'object')
  return out.trimEnd()
}

function find(path: string, text: string, nowMs = Date.now()): string | undefined {
  const live = new KeyRing(parseKeyFile(readFileSync(path, 'utf8'))).find(text, nowMs)
  return typeof live === 'object' ? live.key.label : live
}

test('a key from its creation to its end', async () => {
  const path = newPath()
  const created = await keys(
    path,
    'create shop --kind browser --origin https://shop.example --origin https://*.shop.example --expires 90d --events-per-second 500 --burst 2000',
  )
  const first = secretIn(created)
  assert.match(
    created.err,
    /^Key "shop" \(browser\) is in \S+keys\.json, and expires at \S+Z\. Its secret \w{8} is on standard output\. The secret is shown only now: clients send it as "Authorization: Bearer SECRET" or "X-API-Key: SECRET"; where a page cannot set headers, as "\?key=SECRET"\. APIs that read the file take it within 5 s\.\n$/,
  )
  assert.ok(!created.err.includes(first))
  const file = readFileSync(path, 'utf8')
  assert.ok(!file.includes(first) && !file.includes(first.slice(20, 60)))
  assert.equal(statSync(path).mode & 0o7777, 0o600)
  assert.equal(find(path, first), 'shop')

  const server = secretIn(await keys(path, 'create app --kind server'))
  const rotated = await keys(path, 'rotate shop --overlap 7d')
  const second = secretIn(rotated)
  const [id1, id2] = [first, second].map((text) => text.split('_')[2])
  assert.match(
    rotated.err,
    new RegExp(
      `^Key "shop" has the new secret ${id2}, which is on standard output, and expires at \\S+Z\\. Still valid: ${id1} until \\S+Z\\. The new secret is shown`,
    ),
  )
  const days = (count: number): number => Date.now() + count * 86_400_000
  assert.deepEqual([find(path, first, days(6)), find(path, first, days(7))], ['shop', 'expired'])
  assert.deepEqual([find(path, second, days(89)), find(path, second, days(90))], ['shop', 'expired'])

  const listed = await keys(path, 'list')
  assert.deepEqual([listed.code, listed.err], [0, ''])
  const [head = '', , ...rows] = listed.out.trimEnd().split('\n')
  assert.deepEqual(head.split(/ *\| */), ['label', 'kind', 'id', 'created', 'expires', 'origins', 'limit'])
  assert.deepEqual(
    rows.map((row) => row.split(/ *\| */).toSpliced(3, 2)),
    [
      ['shop', 'browser', id1, 'https://shop.example https://*.shop.example', '500/s, burst 2,000'],
      ['shop', 'browser', id2, 'https://shop.example https://*.shop.example', '500/s, burst 2,000'],
      ['app', 'server', server.split('_')[2], '', 'default'],
    ],
  )

  const revoked = await keys(path, `revoke ${id1}`)
  assert.deepEqual(
    [revoked.code, revoked.out, revoked.err],
    [0, '', `"${id1}" is revoked: APIs that read ${path} refuse it within 5 s.\n`],
  )
  assert.deepEqual([find(path, first), find(path, second)], [undefined, 'shop'])
  assert.equal((await keys(path, 'revoke shop')).code, 0)
  const last = await keys(path, 'revoke app')
  assert.match(
    last.err,
    /^"app" is revoked: .* No key is left: these APIs now refuse everybody, and do not start again without a key\.\n$/,
  )
  assert.equal(readFileSync(path, 'utf8'), '{\n  "keys": []\n}\n')
  assert.equal((await keys(path, 'list')).out, 'There are no keys.\n')
  secretIn(await keys(path, 'create app --kind server'))
  const ended = await keys(path, 'rotate app --overlap 0s')
  assert.match(
    ended.err,
    / is on standard output\. APIs refuse the old one within 5 s\. The new secret is shown/,
  )
})

test('list never shows a digest, in no form, and says which secrets have expired', async () => {
  const path = newPath()
  const digest = '0123456789abcdef'.repeat(4)
  const secret = {
    id: 'a1B2c3D4',
    sha256: digest,
    created: '2026-01-01T00:00:00Z',
    expires: '2026-02-01T00:00:00Z',
  }
  writeFileSync(path, JSON.stringify({ keys: [{ label: 'old', kind: 'read', secrets: [secret] }] }))
  const [table, json] = [await keys(path, 'list'), await keys(path, 'list --json')]
  assert.match(
    table.out,
    /^old +\| read +\| a1B2c3D4 +\| 2026-01-01T00:00:00Z +\| expired 2026-02-01T00:00:00Z +\| +\| default$/m,
  )
  assert.deepEqual(JSON.parse(json.out), {
    keys: [
      {
        label: 'old',
        kind: 'read',
        origins: [],
        events_per_second: null,
        burst: null,
        secrets: [{ id: 'a1B2c3D4', created: secret.created, expires: secret.expires, is_expired: true }],
      },
    ],
  })
  assert.ok(!`${table.out}${json.out}`.includes(digest.slice(0, 8)))
})

test('a new secret can be piped from the command as it is installed', async () => {
  const path = newPath()
  const { out } = await runLine('printf %s "$(./firehose keys create app --kind server)" | wc -c', {
    API_KEYS_FILE: path,
  })
  assert.equal(out.trim(), '69')
})

test('without a file, both ways to name one are told, and both work', async () => {
  const path = newPath()
  const { code, err } = await runFirehose({}, 'keys', 'create', 'a', '--kind', 'server')
  assert.deepEqual(
    [code, err],
    [64, 'There is no key file: give --file PATH, or set API_KEYS_FILE. Try --help.\n'],
  )
  secretIn(await runFirehose({}, 'keys', 'create', 'a', '--kind', 'server', '--file', path))
  secretIn(await keys(path, 'create b --kind server'))
  const other = newPath()
  secretIn(await keys(path, `create c --kind server --file ${other}`))
  assert.equal(parseKeyFile(readFileSync(other, 'utf8')).keys.length, 1, '--file comes first')
})

test('a label that is taken: another one, or the rotation that is quoted', async () => {
  const path = newPath()
  const first = secretIn(await keys(path, 'create app --kind server'))
  const taken = await keys(path, 'create app --kind server')
  assert.deepEqual([taken.code, taken.out], [1, ''])
  assert.match(
    taken.err,
    /^There is a key "app" already: choose another label, or give that key a new secret with "npx firehose keys rotate app --overlap 7d"\.\n$/,
  )
  const second = secretIn(await quoted(path, taken))
  assert.deepEqual([find(path, first), find(path, second)], ['app', 'app'])
  secretIn(await keys(path, 'create app-2 --kind server'))
})

test('an unknown key: the list that is quoted shows those that there are', async () => {
  const path = newPath()
  secretIn(await keys(path, 'create app --kind server'))
  for (const [line, sentence] of [
    ['rotate ap --overlap 1d', 'There is no key "ap": "npx firehose keys list" shows all labels.\n'],
    ['revoke ap', 'There is no key and no secret "ap": "npx firehose keys list" shows all labels and ids.\n'],
  ] as const) {
    const unknown = await keys(path, line)
    assert.deepEqual([unknown.code, unknown.out, unknown.err], [1, '', sentence])
    assert.match((await quoted(path, unknown)).out, /^app +\| server /m)
  }
})

test('a file that is missing or wrong is a wrong setting, under the name by which it was given', async () => {
  const path = newPath()
  const missing = await keys(path, 'list')
  assert.deepEqual(
    [missing.code, missing.err],
    [
      78,
      `The settings are invalid:\n  API_KEYS_FILE cannot be read: ${path}: no such file or directory ("npx firehose keys create" makes it)\n`,
    ],
  )
  secretIn(await keys(path, 'create app --kind server'))
  assert.equal((await keys(path, 'list')).code, 0, 'the remedy')

  writeFileSync(path, '{"keys":[{"label":"app","kind":"server","expires":"2027-01-01T00:00:00Z"}]}')
  for (const line of ['list', 'revoke app', 'rotate app --overlap 1d', 'create b --kind server']) {
    const { code, out, err } = await runFirehose({}, 'keys', ...line.split(' '), '--file', path)
    assert.deepEqual(
      [code, out, err],
      [
        78,
        '',
        `The settings are invalid:\n  --file is wrong: ${path}: key "app" has the unknown member "expires"\n  --file is wrong: ${path}: key "app": "secrets" must be an array of at least one secret\n`,
      ],
    )
  }
})

test('a secret that cannot be printed is lost, and the command that is quoted makes another', async (t) => {
  if (!existsSync('/dev/full')) return t.skip('needs /dev/full')
  const path = newPath()
  const env = { API_KEYS_FILE: path }
  const lost = await runLine('./firehose keys create app --kind server > /dev/full', env)
  assert.equal(lost.code, 1)
  assert.match(
    lost.err,
    /^The secret could not be printed \(no space left on device\), so nobody knows it: get another with "npx firehose keys rotate app --overlap 0s"\.\n$/,
  )
  const text = secretIn(await quoted(path, lost))
  assert.equal(find(path, text), 'app')
  const {
    keys: [key],
  } = parseKeyFile(readFileSync(path, 'utf8'))
  assert.equal(key?.secrets.length, 1)

  const again = await runLine('./firehose keys rotate app --overlap 1d > /dev/full', env)
  assert.match(again.err, /get another with "npx firehose keys rotate app --overlap 1d"\.\n$/)
  assert.equal(find(path, secretIn(await quoted(path, again))), 'app')
  assert.equal(find(path, text), 'app', 'the overlap is that of the command that failed')
})

test('a command that is quoted works on the file that was given, whatever its path', async () => {
  const path = join(newPath(), '..', "it's a file.json")
  const env = { API_KEYS_FILE: newPath() }
  const withFile = async (line: string): Promise<Ended> =>
    await runFirehose(env, 'keys', ...line.split(' '), '--file', path)
  const quotedLine = ({ err }: Ended): string => /"npx( firehose keys [^"]+)"/.exec(err)?.[1]?.trim() ?? ''
  secretIn(await withFile('create app --kind server'))
  const again = await runLine(`./${quotedLine(await withFile('create app --kind server'))}`, env)
  assert.equal(find(path, secretIn(again)), 'app')
  const listed = await runLine(`./${quotedLine(await withFile('revoke other'))}`, env)
  assert.match(listed.out, /^app +\| server /m)
})

test('a secret on the command line is refused, not shown, and its id does what was meant', async () => {
  const path = newPath()
  const text = secretIn(await keys(path, 'create app --kind server'))
  for (const line of [
    'create TEXT --kind server',
    'rotate TEXT --overlap 1d',
    'revoke TEXTx',
    'revoke TEXT',
  ]) {
    const { code, out, err } = await keys(path, line.replace('TEXT', text))
    assert.deepEqual([code, out], [64, ''])
    assert.match(err, /^A secret must not be on a command line, .* the third part of it.*\. Try --help\.\n$/)
    assert.ok(!err.includes(text.slice(-30)))
    if (line !== 'revoke TEXT') continue
    const [, id = ''] = /: (\w{8})\./.exec(err) ?? []
    assert.equal((await keys(path, `revoke ${id}`)).code, 0)
  }
  assert.equal(find(path, text), undefined)
})

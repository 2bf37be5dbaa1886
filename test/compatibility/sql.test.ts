import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { after, before, test } from 'node:test'
import { migrate } from '../../postgres/migrate.ts'
import { ask } from '../../tools/stack/ask.ts'
import { startPostgres } from '../../tools/stack/backends.ts'
import { ROOT, runFirehose } from '../support/run-firehose.ts'
import { until } from '../support/until.ts'

/* `firehose sql` in a terminal and in scripts: psql where there is one, else a prompt of its own. */

let postgres: Awaited<ReturnType<typeof startPostgres>>
let url: string
const terminals = new Set<ChildProcess>()

before(async () => {
  postgres = await startPostgres()
  ;({ url } = postgres.postgres)
  await migrate(url)
  await ask(url, 'CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$')
  await ask(url, 'CREATE TRIGGER mine BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION nothing()')
})
after(async () => {
  for (const terminal of terminals) terminal.kill('SIGKILL')
  await postgres?.close()
})

const has = (command: string): boolean => spawnSync(command, ['--version']).error === undefined

/** Where psql is found, and what is then the prompt. */
const KINDS = {
  psql: { path: process.env.PATH ?? '', prompt: /firehose=# $/, skip: has('psql') ? false : 'no psql here' },
  'without psql': { path: '/nowhere', prompt: /firehose> $/, skip: false },
}

interface Terminal {
  type: (text: string) => void
  /** What it shows since this was read last. */
  shown: () => string
  untilPrompt: () => Promise<string>
  ended: Promise<number | null>
}

/** `firehose sql` in a terminal of its own (script(1)). */
function openTerminal({ path, prompt }: { path: string; prompt: RegExp }): Terminal {
  const command = `PATH='${path}' PSQLRC=/dev/null PAGER=cat exec '${process.execPath}' cli/firehose.ts sql`
  const env = { ...process.env, DATABASE_URL: url, TERM: 'dumb' }
  const child = spawn('script', ['-qefc', command, '/dev/null'], { cwd: ROOT, env, stdio: 'pipe' })
  terminals.add(child)
  let output = ''
  child.stdout.on('data', (chunk) => (output += String(chunk)))
  const shown = (): string => {
    const now = output
    output = ''
    return now
  }
  const ended = once(child, 'close').then(([code]) => code as number | null)
  return {
    type: (text) => child.stdin.write(text),
    shown,
    untilPrompt: async () => {
      await until(
        'prompt',
        () => prompt.test(plain(output)) || (child.exitCode !== null && assert.fail(output)),
      )
      return plain(shown())
    },
    ended,
  }
}

/** Without the sequences that move the cursor. */
function plain(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replaceAll(/\u001B\[[\d;?]*[A-Za-z]/g, '').replaceAll('\r', '')
}

async function sleepers(): Promise<number> {
  const rows = await ask(
    url,
    `SELECT FROM pg_stat_activity WHERE application_name = 'firehose-sql' AND state = 'active' AND query LIKE '%pg_sleep%'`,
  )
  return rows.length
}

for (const [name, kind] of Object.entries(KINDS)) {
  const skip = kind.skip || (has('script') ? false : 'no script(1) here')

  test(`a prompt, ${name}: the usual commands, and Ctrl-C cancels the statement and nothing else`, {
    skip,
  }, async () => {
    const { type, untilPrompt, ended } = openTerminal(kind)
    const welcome = await untilPrompt()
    assert.match(welcome, /^PostgreSQL at 127\.0\.0\.1:\d+\/firehose \(DATABASE_URL\)\. Try: {2}select/)
    type('\\d events\n')
    const table = await untilPrompt()
    for (const part of [/event_id *\| uuid .*not null/, /events_pkey/, /mine BEFORE INSERT/])
      assert.match(table, part)
    type('\\dt\n')
    assert.match(await untilPrompt(), /public *\| dead_letters *\| table/)
    type('select pg_sleep(600);\n')
    await until('it runs', async () => (await sleepers()) === 1)
    type('\u0003')
    assert.match(await untilPrompt(), /cancel+ing statement due to user request/)
    assert.equal(await sleepers(), 0)
    type('select 1 +\u0003')
    await untilPrompt()
    type('\\x\n')
    await untilPrompt()
    type('select 41 + 1 as answer;\n')
    assert.match(await untilPrompt(), /-\[ RECORD 1 \].*\nanswer *\| 42\n/)
    type('\\d nowhere\n')
    assert.match(await untilPrompt(), /(?:relation named "nowhere"|no relation nowhere)/)
    type('\\?\n')
    assert.match(await untilPrompt(), /\\d\b/)
    type('\\q\n')
    assert.equal(await ended, 0)
  })

  test(`statements in scripts, ${name}`, { skip: kind.skip }, async () => {
    const env = { PATH: kind.path, DATABASE_URL: url }
    const good = await runFirehose(env, 'sql', 'select 9007199254740993 as n')
    assert.deepEqual([good.code, good.err], [0, ''])
    assert.match(good.out, /^ *9007199254740993$/m)
    assert.match((await runFirehose(env, 'sql', '\\d events')).out, /event_id *\| uuid/)
    const bad = await runFirehose(env, 'sql', 'select nonsense')
    assert.equal(bad.code, 1)
    assert.match(bad.err, /ERROR.*column "nonsense" does not exist/)
    const refused = await runFirehose(
      { ...env, DATABASE_URL: 'postgresql://u:hidden@127.0.0.1:1/d' },
      'sql',
      'select 1',
    )
    assert.equal(refused.code, 1)
    assert.match(refused.err, /PostgreSQL at 127\.0\.0\.1:1\/d \(DATABASE_URL\) cannot be used/)
    assert.doesNotMatch(refused.out + refused.err, /hidden/)
  })

  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    test(`${signal} to one statement cancels it in PostgreSQL, with exit code 130, ${name}`, {
      skip: kind.skip,
    }, async () => {
      const argv = ['cli/firehose.ts', 'sql', 'select pg_sleep(600)']
      const env = { PATH: kind.path, DATABASE_URL: url }
      const child = spawn(process.execPath, argv, { cwd: ROOT, env, stdio: 'ignore' })
      terminals.add(child)
      await until('it runs', async () => (await sleepers()) === 1)
      child.kill(signal)
      assert.deepEqual(await once(child, 'close'), [130, null])
      assert.equal(await sleepers(), 0)
    })
  }
}

test('psql has no password on its command line', { skip: KINDS.psql.skip }, async () => {
  const env = { PATH: KINDS.psql.path, DATABASE_URL: url }
  const child = spawn(process.execPath, ['cli/firehose.ts', 'sql', 'select pg_sleep(600)'], {
    cwd: ROOT,
    env,
  })
  terminals.add(child)
  await until('it runs', async () => (await sleepers()) === 1)
  const { stdout } = spawnSync('ps', ['-ww', '-o', 'args=', '--ppid', String(child.pid)], {
    encoding: 'utf8',
  })
  assert.match(stdout, /psql -c .*postgresql:\/\/firehose@127\.0\.0\.1/)
  assert.doesNotMatch(stdout, /:firehose@/)
  child.kill('SIGTERM')
  await once(child, 'close')
})

import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { text as textIn } from 'node:stream/consumers'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { COMMANDS } from '../../../cli/firehose.ts'

/* The command `firehose`: its table of commands, its help, and wrong usage. */

const root = fileURLToPath(new URL('../../..', import.meta.url))
const fileOf = ({ load }: (typeof COMMANDS)[number]): string => /'\.\/(.*)'/.exec(String(load))?.[1] ?? ''

interface Said {
  code: number | null
  out: string
  err: string
  /** The files of commands that were loaded. */
  loaded: string[]
}

/** Runs `firehose ...`, with Node itself. */
function firehose(...args: string[]): Said {
  return firehoseWith({}, ...args)
}

function firehoseWith(settings: NodeJS.ProcessEnv, ...args: string[]): Said {
  const argv = ['--import', './test/support/loaded-modules.ts', 'cli/firehose.ts', ...args]
  const env = { PATH: process.env.PATH, ...settings }
  const { status, stdout, stderr } = spawnSync(process.execPath, argv, { cwd: root, env, encoding: 'utf8' })
  const [out = '', names = ''] = stdout.split('\nloaded: ')
  const files = new Set(COMMANDS.map((row) => `cli/${fileOf(row)}`))
  return { code: status, out, err: stderr, loaded: names.split(/\s/).filter((name) => files.has(name)) }
}

test('every file that exports a command is in the table, under its own name', async () => {
  const files = readdirSync(join(root, 'cli')).filter((file) =>
    /^export const command\b/m.test(readFileSync(join(root, 'cli', file), 'utf8')),
  )
  assert.deepEqual(COMMANDS.map(fileOf).toSorted(), files.toSorted())
  for (const row of COMMANDS) {
    const { command } = await row.load()
    assert.equal(command.name(), row.name)
    assert.equal(fileOf(row), `${row.name}.ts`)
    assert.match(row.summary, /^[^.\n]{10,90}$/, 'one line without a full stop')
  }
})

test('--help lists every command in its group, and loads none of them', () => {
  const { code, out, err, loaded } = firehose('--help')
  assert.deepEqual([code, err, loaded], [0, '', []])
  const sections = out.split('\n\n').filter((text) => /^[A-Z][^\n]*:\n/.test(text))
  for (const { name, summary, group } of COMMANDS) {
    const section = sections.filter((text) => new RegExp(`^  ${name} +${summary}`, 'm').test(text))
    assert.equal(section.length, 1, name)
    assert.ok(section[0]?.toLowerCase().startsWith(group), `${name} is in the group ${group}`)
  }
})

test('a command whose output nobody reads any more ends quietly, as SIGTERM ends it', async () => {
  const child = spawn(process.execPath, ['cli/firehose.ts', '--help'], {
    cwd: root,
    env: { PATH: process.env.PATH },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  child.stdout.destroy()
  const [said, [, signal]] = await Promise.all([textIn(child.stderr), once(child, 'exit')])
  assert.deepEqual([said, signal], ['', 'SIGTERM'])
})

test('a command loads its own file and no other; its help has its options', () => {
  for (const args of [
    ['rewind', '--help'],
    ['help', 'rewind'],
    ['sink', 'rewind', '--help'],
  ]) {
    const { code, out, loaded } = firehose(...args)
    assert.deepEqual([code, loaded], [0, ['cli/rewind.ts']], args.join(' '))
    assert.match(out, /^Usage: firehose rewind \[options\][^]*--to-time <TIME>/)
  }
})

test('without a command, the help goes to standard error, with exit code 64', () => {
  const { code, out, err } = firehose()
  assert.deepEqual([code, out], [64, ''])
  assert.match(err, /^Usage: firehose COMMAND/)
})

test('every command refuses an unknown option and, unless it takes words, an unknown argument', async () => {
  for (const { name, load } of COMMANDS) {
    const { command } = await load()
    let err = ''
    command.configureOutput({ writeErr: (text) => (err += text) })
    const refused = async (...args: string[]): Promise<string> => {
      err = ''
      await assert.rejects(command.parseAsync(args, { from: 'user' }), { name: 'CommanderError' }, name)
      return err
    }
    assert.equal(await refused('--nonsense'), "Unknown option '--nonsense'. Try --help.\n", name)
    if (['sql', 'dlq', 'keys'].includes(name)) continue
    assert.match(await refused('some', 'nonsense'), /^Unexpected argument '[^\n]*nonsense'\. Try --help\.\n$/)
  }
})

for (const [line, sentence] of [
  ['verfy', "Unknown command 'verfy' (did you mean verify?)."],
  ['verfy --help', "Unknown command 'verfy' (did you mean verify?)."],
  ['help verfy', "Unknown command 'verfy' (did you mean verify?)."],
  ['--nonsense', "Unknown option '--nonsense'."],
  ['verify --jsn', "Unknown option '--jsn' (did you mean --json?)."],
  ['verify --acked', "The value of '--acked <FILE>' is missing."],
  ['verify --acked --json', '--acked needs a value, not --json.'],
  ['sink adpot', 'There is no command "adpot".'],
  ['sink rewind', '"rewind" needs either --to or --to-time.'],
  ['adopt --to 3', '--to and --to-time are options of "rewind".'],
  ['load --rate x', '--rate must be a number above 0, not "x".'],
  ['load --shapes int', '--shapes can be followed by bigint or text, not by "int".'],
  ['send --name signup', 'An event needs --user-id or --anonymous, and --name or --metadata.'],
  ['demo --rate 0', '--rate must be a number from 1 to 20000, not "0".'],
  ['drill --faults 1.5', '--faults must be a whole number from 1 to 100000, not "1.5".'],
  [
    'bench',
    'A part is missing; the parts are api, batch, sink, broker, e2e, all, sweep, growth, compare, texts, access, plot.',
  ],
  ['bench compare', 'compare needs --with DIR, another checkout.'],
  ['profile api --top x', '--top must be a number above 0, not "x".'],
  ['k6 event --batch 3', '--batch is an option of batch only.'],
  ['doctor --api x', '--api must be an address such as http://127.0.0.1:8000, not "x".'],
  ['send --user-id 1 --url x', '--url must be an address such as http://127.0.0.1:8000, not "x".'],
  ['load --url x', '--url must be an address such as http://127.0.0.1:8000, not "x".'],
  ['k6 event --url x', '--url must be an address such as http://127.0.0.1:8000, not "x".'],
  ['api --port 9000', "Unknown option '--port'."],
  ['start foo', "Unexpected argument 'foo'."],
  ['where a b c', "Unexpected argument 'b, c'."],
  ['maintain --every x', '--every must be a duration from 1s to 1d, such as 90s, 10m or 1h, not "x".'],
  ['maintain --every 1h --dry-run', '--every and --dry-run cannot be combined.'],
  ['maintain --yes', '--yes is only for --now without --dry-run.'],
  ['maintain --now tomorrow', '--now must be a time such as 2027-01-02T03:04:05Z, not "tomorrow".'],
  ['maintain --now', "The value of '--now <TIME>' is missing."],
  ['keys nonsense', "Unknown command 'nonsense'."],
  ['keys crate a', "Unknown command 'crate' (did you mean create?)."],
  ['keys create a', "Required option '--kind <KIND>' not specified."],
  ['keys create --kind server', "Missing required argument 'LABEL'."],
  ['keys create a --kind servant', '--kind must be one of browser, server, read, operate, not "servant".'],
  ['keys rotate a', "Required option '--overlap <DURATION>' not specified."],
  ['keys rotate a --overlap 7', '--overlap must be a duration such as 7d, 12h or 0s, not "7".'],
  ['dlq show', 'show needs PARTITION:OFFSET, such as 0:17, or --event-id.'],
] as const) {
  test(`wrong usage is one sentence and exit code 64: firehose ${line}`, () => {
    const { code, out, err } = firehose(...line.split(' '))
    assert.deepEqual([code, out, err], [64, '', `${sentence} Try --help.\n`])
  })
}

/** All settings that a command reads, wrong; DATABASE_URL comes first, so PG_PORT has a test of its own. */
const WRONG = {
  KAFKA_BOOTSTRAP_SERVERS: 'none',
  KAFKA_SASL_PASSWORD_FILE: '/none',
  LINGER_MS: 'x',
  FETCH_MIN_BYTES: '0',
  PORT: 'abc',
  PG_PORT: 'abc',
  API_KEY_FILE: '/none',
  API_URL: 'x',
  API_OPS_URL: 'x',
  MAINTAIN_PORT: 'x',
  SINK_DATABASE_PASSWORD_FILE: '/none',
  API_KEYS_FILE: '/none',
}
const KAFKA = ['KAFKA_BOOTSTRAP_SERVERS', 'KAFKA_SASL_PASSWORD_FILE']

const READ_BY = [
  ['start', ['FETCH_MIN_BYTES', 'LINGER_MS', 'MAINTAIN_PORT', 'PG_PORT', 'PORT']],
  ['api', [...KAFKA, 'LINGER_MS', 'PORT']],
  ['sink', [...KAFKA, 'FETCH_MIN_BYTES', 'PG_PORT']],
  ['adopt', [...KAFKA, 'FETCH_MIN_BYTES', 'PG_PORT']],
  ['rewind --to 0', [...KAFKA, 'FETCH_MIN_BYTES', 'PG_PORT']],
  ['migrate', ['PG_PORT', 'SINK_DATABASE_PASSWORD_FILE']],
  ['maintain', ['MAINTAIN_PORT', 'PG_PORT']],
  ['maintain --every', ['MAINTAIN_PORT', 'PG_PORT']],
  ['sql', ['PG_PORT']],
  ['send --user-id 1', ['API_KEY_FILE', 'API_URL', 'PORT']],
  ['load', ['API_KEY_FILE', 'API_URL', 'PORT']],
  ['verify', [...KAFKA, 'PG_PORT']],
  ['doctor', ['API_OPS_URL', 'API_URL', ...KAFKA, 'FETCH_MIN_BYTES', 'MAINTAIN_PORT', 'PG_PORT', 'PORT']],
  ['dlq list', [...KAFKA, 'FETCH_MIN_BYTES', 'PG_PORT']],
  ['keys list', ['API_KEYS_FILE']],
  ['tail', KAFKA],
  ['where 00000000-0000-7000-8000-000000000000', [...KAFKA, 'FETCH_MIN_BYTES', 'PG_PORT']],
  ['k6 event', ['API_KEY_FILE', 'API_URL', ...KAFKA, 'PG_PORT', 'PORT']],
  ['k6 outage', ['API_KEY_FILE', 'API_OPS_URL', 'API_URL', ...KAFKA, 'PG_PORT', 'PORT']],
] as const

for (const [line, names] of READ_BY) {
  test(`wrong settings are listed together, with exit code 78: firehose ${line}`, () => {
    const { code, out, err } = firehoseWith(WRONG, ...line.split(' '))
    // Monitoring systems show the doctor's standard output.
    const [text, other, title] = line === 'doctor' ? [out, err, 'FIREHOSE UNKNOWN: The'] : [err, out, 'The']
    const [first, ...problems] = text.trimEnd().split('\n')
    assert.deepEqual([code, first, other], [78, `${title} settings are invalid:`, ''])
    assert.deepEqual(new Set(problems.map((problem) => problem.trim().split(' ')[0])), new Set(names))
    assert.equal(problems.length, names.length, 'each once')
  })
}

for (const line of ['drill --faults 1', 'bench api', 'profile api']) {
  test(`an unknown backend is a wrong setting: firehose ${line}`, () => {
    const { code, err } = firehoseWith({ FIREHOSE_BACKEND: 'x' }, ...line.split(' '))
    assert.equal(code, 78)
    assert.match(
      err,
      /The settings are invalid:\n {2}FIREHOSE_BACKEND must be embedded or containers, not "x"\n$/,
    )
  })
}

test('the help of every command that sends events to an API of the user names the key', () => {
  for (const name of ['send', 'load', 'k6']) {
    const { code, out } = firehose(name, '--help')
    assert.deepEqual([code, /API_KEY,.*API_KEY_FILE/.test(out)], [0, true], name)
  }
})

test('every command that reads settings is among them', () => {
  const without = ['bench', 'demo', 'drill', 'profile', 'schemas', 'settings']
  const reading = COMMANDS.map(({ name }) => name).filter((name) => !without.includes(name))
  assert.deepEqual(new Set(reading), new Set(READ_BY.map(([line]) => line.split(' ')[0])))
})

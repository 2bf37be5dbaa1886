import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { parse } from 'yaml'
import { NODE_FLAGS } from '../../embedded/node-service.ts'
import { apiSettings } from '../../producer-api/config.ts'
import { sinkGrants } from '../../postgres/roles.ts'
import { sinkSettings } from '../../sink-worker/config.ts'

/* Checks facts that are repeated in docker-compose.yml, the Dockerfile, package.json and the README. */

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
const compose = parse(read('docker-compose.yml'), { merge: true }) as {
  services: Record<string, { environment: Record<string, unknown> }>
}

/** Settings fixed by the stack: addresses, Kafka without TLS, and those that match stop_grace_period. */
const fixedByCompose = [
  /^(SINK_)?(HOST|PORT)$/,
  /^KAFKA_(SSL|SASL)/,
  /^(DATABASE_URL|SHUTDOWN_TIMEOUT_MS|KAFKA_BOOTSTRAP_SERVERS)$/,
]

for (const [service, settings] of [
  ['producer-api', apiSettings],
  ['sink-worker', sinkSettings],
] as const) {
  test(`docker-compose.yml passes every setting through to ${service}`, () => {
    const passed = Object.entries(compose.services[service]?.environment ?? {})
      .filter(([name, value]) => value === null && !name.startsWith('PG'))
      .map(([name]) => name)
    const expected = Object.keys(settings).filter((name) => !fixedByCompose.some((fixed) => fixed.test(name)))
    assert.deepEqual(passed.toSorted(), expected.toSorted())
  })
}

test('the services have the same Node flags in npm start, npm run and the image', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
  const flags = NODE_FLAGS.join(' ')
  for (const name of ['api', 'sink']) assert.ok(scripts[name]?.includes(` ${flags} `), name)
  const dockerfile = read('Dockerfile').replaceAll('\\\n', '').replaceAll(/ +/g, ' ')
  assert.ok(
    dockerfile.includes(`ENTRYPOINT ${JSON.stringify(['node', ...NODE_FLAGS]).replaceAll(',', ', ')}`),
  )
  assert.ok(dockerfile.includes(`KAFKA_BOOTSTRAP_SERVERS=none node ${flags} `), 'the compile cache')
})

test('the image contains everything that its programs and commands import', () => {
  const kept = new Set([...read('.dockerignore').matchAll(/^!([a-z-]+)$/gm)].map(([, folder]) => folder))
  const commands = [...read('cli/run.ts').matchAll(/^ {2}(\w+): '/gm)].map(([, name]) => `cli/${name}.ts`)
  assert.ok(commands.includes('cli/verify.ts'))
  const seen = new Set<string>()
  const visit = (file: string): void => {
    if (seen.has(file)) return
    seen.add(file)
    for (const [, path = ''] of read(file).matchAll(/(?:from|import\(?) ?'(\.[^']+\.ts)'/g))
      visit(join(dirname(file), path))
  }
  for (const file of ['producer-api/main.ts', 'sink-worker/main.ts', 'cli/run.ts', ...commands]) visit(file)
  const missing = [...seen].filter((file) => !kept.has(file.split('/')[0]))
  assert.deepEqual(missing, [])
})

test("the sink's privileges in the README are those that npm run migrate grants", () => {
  const block = /CREATE ROLE firehose_sink[^;]*;\n([\s\S]*?)```/.exec(read('README.md'))?.[1] ?? ''
  const grants = sinkGrants('firehose_sink', 'firehose').map((grant) => `${grant.replaceAll('"', '')};`)
  assert.deepEqual(block.trim().split('\n'), grants)
})

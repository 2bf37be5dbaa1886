import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { parse, parseAllDocuments } from 'yaml'
import { COMMANDS } from '../../cli/firehose.ts'
import { secret, type Settings } from '../../platform/env.ts'
import { NODE_FLAGS, NODE_VARIABLES } from '../../platform/node-conf.ts'
import { kafkaSettings } from '../../kafka/settings.ts'
import { maintainSettings } from '../../maintenance/config.ts'
import { layoutSettings } from '../../postgres/partitions/settings.ts'
import { apiSettings } from '../../producer-api/config.ts'
import { sinkGrants } from '../../postgres/roles.ts'
import { sinkSettings } from '../../sink-worker/config.ts'

/* Checks facts that are repeated in docker-compose.yml, the Dockerfile, package.json and the README. */

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
const compose = parse(read('docker-compose.yml'), { merge: true }) as {
  services: Record<string, Compose>
}

/** What is looked at of a service of docker-compose.yml. */
interface Compose {
  environment: Record<string, unknown>
  depends_on?: Record<string, object>
  read_only?: boolean
  cap_drop?: string[]
  security_opt?: string[]
  ports?: string[]
}

/** Settings fixed by the stack: addresses, Kafka without TLS, and those that match stop_grace_period. */
const fixedByCompose = [
  /^((SINK|MAINTAIN)_)?(HOST|PORT)$/,
  /^KAFKA_(SSL|SASL)/,
  /^(DATABASE_URL|SHUTDOWN_TIMEOUT_MS|KAFKA_BOOTSTRAP_SERVERS|PUBLISHED_ADDRESS)$/,
]

for (const [service, settings] of [
  ['producer-api', apiSettings],
  ['sink-worker', sinkSettings],
  ['maintain', { ...kafkaSettings, ...maintainSettings }],
] as const) {
  test(`docker-compose.yml passes every setting through to ${service}`, () => {
    const passed = Object.entries(compose.services[service]?.environment ?? {})
      .filter(([name, value]) => value === null && !name.startsWith('PG'))
      .map(([name]) => name)
    const expected = Object.keys(settings).filter((name) => !fixedByCompose.some((fixed) => fixed.test(name)))
    assert.deepEqual(passed.toSorted(), expected.toSorted())
  })
}

test('maintain is as hardened as the sink and has its image, and no service depends on it', () => {
  const { maintain, 'sink-worker': sink } = compose.services
  const part = ({ read_only, cap_drop, security_opt, ...rest }: Compose): object => ({
    read_only,
    cap_drop,
    security_opt,
    image: (rest as { image?: string }).image,
  })
  assert.ok(maintain?.read_only && sink !== undefined)
  assert.deepEqual(part(maintain), part(sink))
  for (const [name, { depends_on = {} }] of Object.entries(compose.services))
    assert.ok(!('maintain' in depends_on), name)
  assert.deepEqual(Object.keys(maintain.depends_on ?? {}), ['migrate'])
})

test('the API of compose knows the address that its port is published on', () => {
  const { environment, ports = [] } = compose.services['producer-api']!
  const published = String(environment.PUBLISHED_ADDRESS)
  assert.match(published, /^\$\{API_ADDRESS:-127\.0\.0\.1\}$/)
  assert.ok(ports.every((port) => port.startsWith(`${published}:`)))
})

test('whatever runs migrate gets what must be the same for the API and the sink', () => {
  for (const service of ['migrate', 'cli']) {
    const { environment = {} } = compose.services[service] ?? {}
    for (const name of ['USER_ID_TYPE', 'DATABASE_SCHEMA', ...Object.keys(layoutSettings)])
      assert.equal(environment[name], null, service)
  }
  for (const { containers } of podsOf(readKubernetes()))
    for (const { envFrom } of containers) assert.deepEqual(envFrom, [{ configMapRef: { name: 'firehose' } }])
})

test('commands in a container have the key with which to send events', () => {
  assert.equal(compose.services.cli?.environment.API_KEY, null)
})

test('the services have the same Node flags in npm start, npm run and the image', () => {
  assert.ok(NODE_FLAGS.includes('--max-semi-space-size=8'))
  assert.deepEqual(NODE_VARIABLES, { MALLOC_ARENA_MAX: '1' })
  // npm run and the image start the launcher, which reads the same file as npm start.
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
  const images = read('Dockerfile')
  const aliases = COMMANDS.map(({ name }) => name).filter((name) => Object.hasOwn(scripts, name))
  for (const name of ['start', 'api', 'sink']) assert.ok(aliases.includes(name), name)
  for (const name of aliases) assert.equal(scripts[name], `exec ./firehose ${name}`)
  assert.match(images, /^ENTRYPOINT \["\/app\/firehose"\]$/m)
  for (const name of ['api', 'sink']) assert.ok(images.includes(`\nCMD ["${name}"]\n`), name)
  for (const file of ['package.json', 'Dockerfile', 'docker-compose.yml', 'embedded/node-service.ts']) {
    for (const flag of NODE_FLAGS.filter((one) => !one.startsWith('--disable-warning')))
      assert.ok(!read(file).includes(flag), `${file}: ${flag} belongs in platform/node.conf`)
  }
})

test('the image contains everything that its programs and commands import', () => {
  const kept = new Set([...read('.dockerignore').matchAll(/^!([\w.-]+)$/gm)].map(([, name]) => name))
  for (const name of ['firehose', 'with-node24.sh', 'package.json']) assert.ok(kept.has(name), name)
  const commands = COMMANDS.filter(({ checkoutOnly }) => !checkoutOnly)
  const files = commands.map(({ load }) => `cli/${/'\.\/(.*)'/.exec(String(load))?.[1]}`)
  assert.ok(files.includes('cli/verify.ts'))
  const seen = new Set<string>()
  const visit = (file: string): void => {
    if (seen.has(file)) return
    seen.add(file)
    const isTable = file === 'cli/firehose.ts' // it names commands, and loads only one
    const imports = isTable ? /from '(\.[^']+\.ts)'/g : /(?:from|import\(?) ?'(\.[^']+\.ts)'/g
    for (const [, path = ''] of read(file).matchAll(imports)) visit(join(dirname(file), path))
  }
  for (const file of ['cli/firehose.ts', ...files]) visit(file)
  assert.ok(seen.has('sink-worker/main.ts'))
  const missing = [...seen].filter((file) => !kept.has(file.split('/')[0]))
  assert.deepEqual(missing, [])
})

test('the user of the images is a number, as runAsNonRoot of Kubernetes needs it', () => {
  const users = [...read('Dockerfile').matchAll(/^USER (.*)$/gm)].map(([, user]) => user)
  assert.deepEqual(users, ['10001:10001'])
  assert.match(
    read('Dockerfile'),
    /groupadd [^\n]*--gid 10001 firehose[^]*useradd [^\n]*--uid 10001 --gid 10001/,
  )
})

test('the example for Kubernetes sets only settings, secrets as files, and time enough to end', () => {
  const documents = readKubernetes()
  const pods = podsOf(documents)
  assert.equal(pods.length, 4)
  const [secrets, settings] = ['Secret', 'ConfigMap'].map((name) =>
    documents.find(({ kind }) => kind === name),
  )
  const all: Settings = {
    ...apiSettings,
    ...sinkSettings,
    ...maintainSettings,
    SINK_DATABASE_PASSWORD: secret(''),
  }
  const isFine = (name: string, value: string): boolean => {
    const base = name.replace(/_FILE$/, '')
    const isSecret = all[base]?.secret === true
    return isSecret
      ? base !== name && Object.hasOwn(secrets?.stringData ?? {}, value.replace('/secrets/', ''))
      : name in all
  }
  for (const [name, value] of Object.entries(settings?.data ?? {})) assert.ok(isFine(name, value), name)
  const limits: Record<string, number> = { sink: 8, api: 20, migrate: 0, maintain: 1 } // SHUTDOWN_TIMEOUT_MS, in seconds
  for (const { securityContext, containers, terminationGracePeriodSeconds = 1 } of pods) {
    assert.deepEqual(securityContext, { runAsNonRoot: true })
    for (const { name, args, env = [] } of containers) {
      assert.ok(terminationGracePeriodSeconds > (limits[name] ?? Number.POSITIVE_INFINITY), name)
      assert.ok(
        COMMANDS.some((command) => command.name === args[0]),
        name,
      )
      for (const variable of env) assert.ok(isFine(variable.name, variable.value), variable.name)
    }
  }
})

/** What is looked at of a Kubernetes object. */
interface Kube {
  kind: string
  data?: Record<string, string>
  stringData?: Record<string, string>
  spec?: Template & { jobTemplate?: { spec: Template } }
}

interface Template {
  template?: { spec: Pod }
}

interface Pod {
  securityContext: object
  terminationGracePeriodSeconds?: number
  containers: {
    name: string
    args: string[]
    envFrom?: object[]
    env?: { name: string; value: string }[]
  }[]
}

function readKubernetes(): Kube[] {
  return parseAllDocuments(read('examples/kubernetes.yaml')).map((document) => document.toJS() as Kube)
}

function podsOf(documents: readonly Kube[]): Pod[] {
  return documents.flatMap(({ spec }) => (spec?.template ?? spec?.jobTemplate?.spec.template)?.spec ?? [])
}

test("the sink's privileges in the README are those that npm run migrate grants", () => {
  const block = /CREATE ROLE firehose_sink[^;]*;\n([\s\S]*?)```/.exec(read('README.md'))?.[1] ?? ''
  const place = { database: 'firehose', schema: 'public', sequences: [] }
  const grants = sinkGrants('firehose_sink', place).map((grant) => `${grant.replaceAll('"', '')};`)
  assert.deepEqual(block.trim().split('\n'), grants)
})

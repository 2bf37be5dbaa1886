import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { networkInterfaces, tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { newId, serverProperties } from '../../embedded/kafka-config.ts'
import { EmbeddedKafka } from '../../embedded/kafka.ts'
import { freePorts } from '../../embedded/ports.ts'
import type { Backend } from '../../tools/stack/backends.ts'
import { spawnGuard } from '../../tools/stack/guard.ts'
import { startPostgres } from '../../tools/stack/embedded-backend.ts'

const pathOf = (name: string): string => fileURLToPath(new URL(`./tls/${name}.pem`, import.meta.url))

/** Self-signed for localhost and 127.0.0.1: the certificate of the server and of the client, and the authority of both. */
export const TLS_FILES = { certificate: pathOf('certificate'), key: pathOf('key') }

export const USER = { name: 'firehose', password: 'pass word; 1' }

/** Why there can be no listener on ::1; undefined if there can be. */
export const NO_IPV6 = Object.values(networkInterfaces())
  .flat()
  .some((each) => each?.address === '::1')
  ? undefined
  : 'this machine has no IPv6'

/** Addresses of one broker, by what its listeners speak. */
export interface Listeners {
  /** With TLS; asks for a client certificate. */
  SSL: string
  /** With TLS; mechanisms PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 and OAUTHBEARER. */
  SASL_SSL: string
  /** On ::1, in clear; not there if NO_IPV6. */
  IPV6: string
}

/**
 * A broker with more listeners than one, and PostgreSQL. Its bootstrapServers are in clear and open.
 *
 * @param jwks the keys with which tokens for OAUTHBEARER are signed (JWKS)
 */
export async function startListeners(
  jwks: unknown = { keys: [] },
): Promise<{ backend: Backend; at: Listeners }> {
  const dir = mkdtempSync(join(tmpdir(), 'firehose-listeners-'))
  const guard = spawnGuard(dir)
  const [port = 0, controllerPort = 0, ssl = 0, saslSsl = 0, ipv6 = 0] = await freePorts(5)
  const at = { SSL: `127.0.0.1:${ssl}`, SASL_SSL: `127.0.0.1:${saslSsl}`, IPV6: `[::1]:${ipv6}` }
  const jwksFile = join(dir, 'jwks.json')
  const keystore = join(dir, 'server.pem')
  writeFileSync(jwksFile, JSON.stringify(jwks))
  writeFileSync(keystore, readFileSync(TLS_FILES.key, 'utf8') + readFileSync(TLS_FILES.certificate, 'utf8'))
  const clear = `PLAINTEXT://127.0.0.1:${port}`
  const shown = [
    clear,
    `SSL://${at.SSL}`,
    `SASL_SSL://${at.SASL_SSL}`,
    ...(NO_IPV6 ? [] : [`IPV6://${at.IPV6}`]),
  ]
  const settings = {
    listeners: [...shown, `CONTROLLER://127.0.0.1:${controllerPort}`].join(','),
    'advertised.listeners': shown.join(','),
    'listener.security.protocol.map':
      'PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL,IPV6:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'inter.broker.listener.name': 'PLAINTEXT',
    ...tlsSettings(keystore),
    ...saslSettings(`file://${jwksFile}`),
  }
  const flags = [`-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=file://${jwksFile}`]
  const kafka = new EmbeddedKafka({ dir, port, controllerPort, settings, fast: true }, flags)
  format(
    dir,
    await kafka.install(),
    serverProperties({ port, advertisedPort: port, controllerPort, dataDir: 'data', more: settings }),
  )
  const [{ postgres, close }] = await Promise.all([startPostgres(), kafka.start()])
  const backend = {
    kafka,
    postgres,
    dir,
    close: async () => {
      await Promise.all([kafka.kill(), close()])
      rmSync(dir, { recursive: true, force: true })
      guard.stdin?.end()
    },
  }
  return { backend, at }
}

function tlsSettings(keystore: string): Record<string, string> {
  return {
    'ssl.keystore.type': 'PEM',
    'ssl.keystore.location': keystore,
    'ssl.truststore.type': 'PEM',
    'ssl.truststore.location': TLS_FILES.certificate,
    'listener.name.ssl.ssl.client.auth': 'required',
  }
}

const SECURITY = 'org.apache.kafka.common.security'

function saslSettings(jwksUrl: string): Record<string, string> {
  const listener = 'listener.name.sasl_ssl'
  const oauth = `${listener}.oauthbearer`
  return {
    'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER',
    [`${listener}.plain.sasl.jaas.config`]: `${SECURITY}.plain.PlainLoginModule required user_${USER.name}="${USER.password}";`,
    [`${listener}.scram-sha-256.sasl.jaas.config`]: `${SECURITY}.scram.ScramLoginModule required;`,
    [`${listener}.scram-sha-512.sasl.jaas.config`]: `${SECURITY}.scram.ScramLoginModule required;`,
    [`${oauth}.sasl.jaas.config`]: `${SECURITY}.oauthbearer.OAuthBearerLoginModule required;`,
    [`${oauth}.sasl.server.callback.handler.class`]: `${SECURITY}.oauthbearer.OAuthBearerValidatorCallbackHandler`,
    [`${oauth}.sasl.oauthbearer.jwks.endpoint.url`]: jwksUrl,
    [`${oauth}.sasl.oauthbearer.expected.audience`]: 'kafka',
    // The end of a token ends its session.
    [`${listener}.connections.max.reauth.ms`]: '3600000',
  }
}

/** Formats the log directory with SCRAM users, which cannot be added later without a Java program. */
function format(dir: string, { java, jars }: { java: string; jars: string[] }, properties: string): void {
  const file = join(dir, 'format.properties')
  writeFileSync(file, properties)
  const users = ['SCRAM-SHA-256', 'SCRAM-SHA-512'].flatMap((mechanism) => [
    '--add-scram',
    `${mechanism}=[name=${USER.name},password=${USER.password}]`,
  ])
  const args = ['-cp', jars.join(delimiter), 'kafka.tools.StorageTool', 'format', '-t', newId(), '-c', file]
  const { status, stderr, stdout } = spawnSync(java, [...args, ...users], { cwd: dir, encoding: 'utf8' })
  if (status !== 0) throw new Error(`Kafka's StorageTool failed: ${stdout}${stderr}`)
}

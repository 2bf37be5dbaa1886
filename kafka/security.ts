import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import type { KafkaConfig, SASLOptions } from 'kafkajs'
import { boolean, oneOf, optionalText, secret, type Setting } from '../platform/env.ts'
import { isHttpAddress } from '../platform/address.ts'
import { tokenProvider } from './oauth-token.ts'
import type { Protocol } from './servers.ts'

/** How to encrypt connections to Kafka and how to log in. */
export const securitySettings = {
  KAFKA_SSL: boolean(
    undefined,
    'Connect to Kafka with TLS; by default only if the brokers begin with `SSL://` or `SASL_SSL://`',
  ),
  KAFKA_SSL_CA_FILE: optionalText('PEM file of the certificate authority, unless it is a public one'),
  KAFKA_SSL_CERT_FILE: optionalText(
    'PEM file of the client certificate and its chain, for brokers that ask for one',
  ),
  KAFKA_SSL_KEY_FILE: optionalText("PEM file of the client certificate's private key"),
  KAFKA_SSL_KEY_PASSWORD: secret('Password of the private key, if it is encrypted'),
  KAFKA_SASL_MECHANISM: oneOf(
    ['none', 'plain', 'scram-sha-256', 'scram-sha-512', 'oauthbearer'],
    'none',
    'SASL mechanism: `none`, `plain`, `scram-sha-256`, `scram-sha-512` or `oauthbearer`',
  ),
  KAFKA_SASL_USERNAME: optionalText('SASL user'),
  KAFKA_SASL_PASSWORD: secret('SASL password'),
  KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL: optionalText(
    'For `oauthbearer`: where to get tokens with the client credentials. `NODE_EXTRA_CA_CERTS` names its certificate authority, unless it is a public one',
  ),
  KAFKA_SASL_OAUTHBEARER_CLIENT_ID: optionalText('The client id for the token endpoint'),
  KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET: secret('The client secret for the token endpoint'),
  KAFKA_SASL_OAUTHBEARER_SCOPE: optionalText('The scope to ask the token endpoint for, if it needs one'),
}

type Values = {
  [K in keyof typeof securitySettings]: (typeof securitySettings)[K] extends Setting<infer T> ? T : never
}

/**
 * What kafkajs needs for these settings. Mistakes are added to `problems`; the result is then not to be used.
 *
 * @param protocol what the brokers' addresses begin with, which may say whether TLS and SASL are used
 */
export function kafkaSecurity(
  values: Values,
  protocol: Protocol | undefined,
  problems: string[],
): { ssl: KafkaConfig['ssl']; sasl: SASLOptions | undefined } {
  const mechanism = values.KAFKA_SASL_MECHANISM
  const saysTls = protocol?.endsWith('SSL')
  if (saysTls !== undefined && values.KAFKA_SSL !== undefined && values.KAFKA_SSL !== saysTls)
    problems.push(
      `KAFKA_SSL is ${values.KAFKA_SSL}, but KAFKA_BOOTSTRAP_SERVERS begins with ${protocol}://: leave KAFKA_SSL out, or correct one of the two`,
    )
  if (protocol?.startsWith('SASL_') && mechanism === 'none')
    problems.push(`KAFKA_BOOTSTRAP_SERVERS begins with ${protocol}://, which needs KAFKA_SASL_MECHANISM`)
  if (protocol !== undefined && !protocol.startsWith('SASL_') && mechanism !== 'none')
    problems.push(
      `KAFKA_SASL_MECHANISM is ${mechanism}, but KAFKA_BOOTSTRAP_SERVERS begins with ${protocol}://: write SASL_${protocol}://`,
    )
  return {
    ssl: tlsOptions(values, values.KAFKA_SSL ?? saysTls ?? false, problems),
    sasl: saslOptions(values, problems),
  }
}

function tlsOptions(values: Values, isOn: boolean, problems: string[]): KafkaConfig['ssl'] {
  const {
    KAFKA_SSL_CA_FILE: caFile,
    KAFKA_SSL_CERT_FILE: certFile,
    KAFKA_SSL_KEY_FILE: keyFile,
    KAFKA_SSL_KEY_PASSWORD: passphrase,
  } = values
  if (!isOn) {
    const given = { CA_FILE: caFile, CERT_FILE: certFile, KEY_FILE: keyFile, KEY_PASSWORD: passphrase }
    for (const [name, value] of Object.entries(given))
      if (value !== undefined) problems.push(`KAFKA_SSL_${name} needs KAFKA_SSL=true`)
    return false
  }
  if ((certFile === undefined) !== (keyFile === undefined))
    problems.push('KAFKA_SSL_CERT_FILE and KAFKA_SSL_KEY_FILE need each other')
  if (passphrase !== undefined && keyFile === undefined)
    problems.push('KAFKA_SSL_KEY_PASSWORD needs KAFKA_SSL_KEY_FILE')
  const ca = readCertificate('KAFKA_SSL_CA_FILE', caFile, problems)
  const cert = readCertificate('KAFKA_SSL_CERT_FILE', certFile, problems)
  const key = readText('KAFKA_SSL_KEY_FILE', keyFile, problems)
  if (cert !== undefined && key !== undefined) {
    try {
      createSecureContext({ cert, key, passphrase })
    } catch {
      problems.push(
        'KAFKA_SSL_KEY_FILE is not the private key of KAFKA_SSL_CERT_FILE in PEM, or KAFKA_SSL_KEY_PASSWORD is not its password',
      )
    }
  }
  if (ca === undefined && cert === undefined) return true
  return {
    ...(ca === undefined ? {} : { ca: [ca] }),
    ...(cert === undefined || key === undefined ? {} : { cert, key }),
    ...(passphrase === undefined ? {} : { passphrase }),
  }
}

/** The text of a PEM file; undefined if there is none, or if it cannot be used. */
function readCertificate(name: string, path: string | undefined, problems: string[]): string | undefined {
  const pem = readText(name, path, problems)
  if (pem === undefined) return undefined
  try {
    void new X509Certificate(pem)
    return pem
  } catch {
    problems.push(`${name} must hold a certificate in PEM: ${path}`)
    return undefined
  }
}

function readText(name: string, path: string | undefined, problems: string[]): string | undefined {
  if (path === undefined) return undefined
  try {
    return readFileSync(path, 'utf8')
  } catch {
    problems.push(`${name} cannot be read: ${path}`)
    return undefined
  }
}

function saslOptions(values: Values, problems: string[]): SASLOptions | undefined {
  const {
    KAFKA_SASL_MECHANISM: mechanism,
    KAFKA_SASL_USERNAME: username,
    KAFKA_SASL_PASSWORD: password,
    KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL: url,
    KAFKA_SASL_OAUTHBEARER_CLIENT_ID: clientId,
    KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET: clientSecret,
    KAFKA_SASL_OAUTHBEARER_SCOPE: scope,
  } = values
  const isOauth = mechanism === 'oauthbearer'
  if ((mechanism === 'none' || isOauth) && (username ?? password) !== undefined)
    problems.push(
      isOauth
        ? 'KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD are not for oauthbearer: use KAFKA_SASL_OAUTHBEARER_CLIENT_ID and KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET'
        : 'KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD need KAFKA_SASL_MECHANISM',
    )
  if (!isOauth && (url ?? clientId ?? clientSecret ?? scope) !== undefined)
    problems.push('KAFKA_SASL_OAUTHBEARER_... needs KAFKA_SASL_MECHANISM=oauthbearer')
  if (mechanism === 'none') return undefined
  if (isOauth) {
    if (url === undefined || clientId === undefined || clientSecret === undefined) {
      problems.push(
        'KAFKA_SASL_MECHANISM oauthbearer needs KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL, KAFKA_SASL_OAUTHBEARER_CLIENT_ID and KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET',
      )
      return undefined
    }
    if (!isHttpAddress(url))
      problems.push(
        'KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL must be an address such as https://login.example.com/token, without a user',
      )
    return { mechanism, oauthBearerProvider: tokenProvider({ url, clientId, clientSecret, scope }) }
  }
  if (username === undefined || password === undefined) {
    problems.push(`KAFKA_SASL_MECHANISM ${mechanism} needs KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD`)
    return undefined
  }
  return { mechanism, username, password }
}

import { isHttpAddress, shownAddress } from '../platform/address.ts'
import { ConfigError, integer, optionalInteger, optionalText, parseSettings } from '../platform/env.ts'
import { UsageError } from '../platform/usage-error.ts'
import { warn } from './command.ts'

export interface ServiceUrl {
  url: string
  /** Whether the user gave it, by an option or by a variable. */
  named: boolean
}

/** What --help says of the option for the address of the API. */
export const API_URL_HELP = 'address of the API (API_URL, else http://127.0.0.1:8000 or the port PORT)'

/** The address of the API. @param given the value of an option, checked @throws {ConfigError} */
export function apiUrl(given: string | undefined): ServiceUrl {
  return serviceUrl(given, { url: 'API_URL', port: 'PORT', fallback: 8_000 })
}

/** What --help says of the address of the API's /health. */
export const API_OPS_HELP =
  'If the API has OPS_PORT, set it here as well, or API_OPS_URL to the address where it serves /health.'

/**
 * Where the API serves /health and /metrics: API_OPS_URL, else OPS_PORT on the host of `api`, else `api`.
 *
 * @param api its address, if that is known
 * @param given the value of the option for it: then API_OPS_URL is of another API
 * @throws {ConfigError}
 */
export function apiOpsUrl(
  api: string | undefined,
  given: string | undefined,
  env: NodeJS.ProcessEnv = process.env,
): string | undefined {
  const { values, problems, warnings } = parseSettings(
    {
      API_OPS_URL: optionalText('Where the API serves /health and /metrics'),
      OPS_PORT: optionalInteger(0, 65_535, "The API's port for them"),
    },
    env,
  )
  const { API_OPS_URL: url, OPS_PORT: port } = values
  if (url !== undefined && !isHttpAddress(url)) problems.push(`API_OPS_URL ${mustBe(url)}`)
  if (problems.length > 0) throw new ConfigError(problems)
  warn(warnings)
  if (url !== undefined && given === undefined) return url
  if (api === undefined || port === undefined) return api
  const ops = new URL(api)
  ops.port = String(port)
  return ops.href.replace(/\/$/, '')
}

/** The address of a sink. @param given the value of an option, checked @throws {ConfigError} */
export function sinkUrl(given: string | undefined): ServiceUrl {
  return serviceUrl(given, { url: 'SINK_URL', port: 'SINK_PORT', fallback: 8_001 })
}

/** The address of the service `firehose maintain --every`. @param given the value of an option, checked @throws {ConfigError} */
export function maintainUrl(given: string | undefined): ServiceUrl {
  return serviceUrl(given, { url: 'MAINTAIN_URL', port: 'MAINTAIN_PORT', fallback: 8_003 })
}

/** @throws {UsageError} if the value of an option is not an address */
export function checkUrl(option: string, given: string | undefined): void {
  if (given !== undefined && !isHttpAddress(given)) throw new UsageError(`${option} ${mustBe(given)}.`)
}

function serviceUrl(
  given: string | undefined,
  names: { url: string; port: string; fallback: number },
): ServiceUrl {
  if (given !== undefined) return { url: given, named: true }
  const { values, problems, warnings } = parseSettings(
    {
      [names.url]: optionalText("The service's address"),
      [names.port]: integer(names.fallback, 0, 65_535, "The service's port on this machine"),
    },
    process.env,
  )
  const url = values[names.url] as string | undefined
  if (url !== undefined && !isHttpAddress(url)) problems.push(`${names.url} ${mustBe(url)}`)
  if (problems.length > 0) throw new ConfigError(problems)
  warn(warnings)
  return { url: url ?? `http://127.0.0.1:${String(values[names.port])}`, named: url !== undefined }
}

function mustBe(text: string): string {
  return `must be an address such as http://127.0.0.1:8000, not ${shownAddress(text)}`
}

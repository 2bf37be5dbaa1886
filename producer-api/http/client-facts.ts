/** What the API stores about the client of a request, if CAPTURE_CLIENT asks for it. */
import { isUtf8 } from 'node:buffer'
import type { IncomingMessage } from 'node:http'
import { USER_AGENT_CHARACTERS } from '../../event/kinds.ts'
import type { ClientFacts } from '../../event/record/encode.ts'
import { clientAddress, type Proxies } from './client-address.ts'
import { networkText, parseAddress } from './ip-address.ts'

export interface ClientCapture {
  /** How much of the client's address. */
  address: 'none' | 'whole' | 'network'
  userAgent: boolean
  proxies: Proxies | undefined
}

/** The function that reads the facts of a request; undefined if none are asked for. */
export function clientFacts(capture: ClientCapture): ((request: IncomingMessage) => ClientFacts) | undefined {
  const { address, userAgent, proxies } = capture
  if (address === 'none' && !userAgent) return undefined
  const addressOf = clientAddress(proxies)
  return (request) => ({
    ipAddress: address === 'none' ? undefined : storedAddress(addressOf(request), address),
    userAgent: userAgent ? userAgentText(request.headers['user-agent']) : undefined,
  })
}

function storedAddress(text: string | undefined, extent: 'whole' | 'network'): string | undefined {
  return text === undefined || extent === 'whole' ? text : networkText(parseAddress(text)!)
}

/**
 * The text of a User-Agent: UTF-8 if its bytes are that, else Latin-1; cut to the characters that the column takes.
 *
 * @param header as Node gives it: a character for each byte
 */
export function userAgentText(header: string | undefined): string | undefined {
  if (header === undefined || header === '') return undefined
  const bytes = Buffer.from(header, 'latin1')
  const text = isUtf8(bytes) ? bytes.toString() : header
  if (text.length <= USER_AGENT_CHARACTERS) return text
  return Array.from(text).slice(0, USER_AGENT_CHARACTERS).join('')
}

/** Where tokens come from: the grant of client credentials (RFC 6749, section 4.4). */
export interface TokenEndpoint {
  url: string
  clientId: string
  clientSecret: string
  scope: string | undefined
}

interface Token {
  value: string
  /** Milliseconds since 1970; after this, another one is needed. */
  freshUntilMs: number
}

const ANSWER_LIMIT_MS = 5_000
/** kafkajs authenticates again 10 s before a token expires, and must then get another one. */
const LEAST_LEFT_MS = 30_000
/** The same for a token that lives for less than a minute, as a share of its life. */
const LEAST_LEFT_SHARE = 0.8
const RETRY_HINT = 'check KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL'

/**
 * Returns a function that returns a token, the same one until it is about to expire: Kafka is given one for each
 * connection.
 */
export function tokenProvider(endpoint: TokenEndpoint): () => Promise<{ value: string }> {
  let current: Promise<Token> | undefined
  return async () => {
    const asked = current
    const token = await asked?.catch(() => undefined)
    const isStale = token === undefined || token.freshUntilMs <= Date.now()
    if (isStale && current === asked) current = fetchToken(endpoint) // else another connection asks already
    return { value: (await current!).value }
  }
}

/** @throws one sentence, without the secret and without what the endpoint answered, apart from its error code */
async function fetchToken({ url, clientId, clientSecret, scope }: TokenEndpoint): Promise<Token> {
  const credentials = `${encodeURIComponent(clientId)}:${encodeURIComponent(clientSecret)}`
  const body = new URLSearchParams({ grant_type: 'client_credentials', ...(scope && { scope }) })
  const headers = {
    authorization: `Basic ${Buffer.from(credentials).toString('base64')}`,
    accept: 'application/json',
  }
  const signal = AbortSignal.timeout(ANSWER_LIMIT_MS)
  let response: Response
  let answer: { access_token?: unknown; expires_in?: unknown; error?: unknown } | null
  try {
    response = await fetch(url, { method: 'POST', headers, body, redirect: 'error', signal })
    answer = (await response.json().catch(() => null)) as typeof answer
  } catch (error) {
    const { message, cause } = error as Error
    const why = (cause as Error | undefined)?.message ?? message
    throw new Error(`the token endpoint ${url} does not answer (${why}): ${RETRY_HINT}`, { cause: error })
  }
  if (!response.ok) throw new Error(refusal(url, response.status, answer?.error))
  const { access_token: value, expires_in: seconds } = answer ?? {}
  if (typeof value !== 'string' || !/^[\x21-\x7e]+$/.test(value))
    throw new Error(`the token endpoint ${url} answered without an access_token: ${RETRY_HINT}`)
  const lifeMs = Number(seconds) * 1_000 || 0
  return { value, freshUntilMs: Date.now() + lifeMs - Math.min(LEAST_LEFT_MS, lifeMs * LEAST_LEFT_SHARE) }
}

function refusal(url: string, status: number, code: unknown): string {
  const named = typeof code === 'string' && /^\w{1,40}$/.test(code) ? `${status} ${code}` : String(status)
  const check =
    status < 500 && status !== 404
      ? 'check KAFKA_SASL_OAUTHBEARER_CLIENT_ID, KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET and KAFKA_SASL_OAUTHBEARER_SCOPE'
      : RETRY_HINT
  return `the token endpoint ${url} answered ${named}: ${check}`
}

/** Where the user's API is reached, and what it asks of its clients. */
const OF_THE_API =
  /^(?:HOST|API_ADDRESS|PUBLISHED_ADDRESS|OPS_PORT|API_KEYS_FILE|ALLOW_ANONYMOUS|JWT_[A-Z_]+|ADDRESS_(?:REQUESTS_PER_SECOND|BURST)|KEY_(?:EVENTS_PER_SECOND|BURST))$/

/**
 * The user's environment for a separate stack, without the settings of the user's own API that would keep the stack's from
 * starting, or refuse its load: it is on a loopback address, and needs no key. Pure.
 */
export function separateEnv(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !OF_THE_API.test(name)))
}

/** Helpers for the nested errors of kafkajs. */

/** Kafka's error name (such as `NOT_LEADER_FOR_PARTITION`) of the outermost error in the chain of causes that has one. */
export function kafkaErrorType(error: unknown): string | undefined {
  return causeChain(error)
    .map((link) => link.type)
    .find((value): value is string => typeof value === 'string')
}

/** The message of the root cause. */
export function rootMessage(error: unknown): string {
  return causeChain(error).at(-1)?.message ?? String(error)
}

interface Link {
  name?: string
  message?: string
  type?: unknown
  code?: unknown
}

/** The error and its causes, outermost first. At most ten, because the chain may be circular. */
export function causeChain(error: unknown): Link[] {
  const chain: Link[] = []
  let link = error
  while (typeof link === 'object' && link !== null && chain.length < 10) {
    chain.push(link)
    link = (link as { cause?: unknown }).cause
  }
  return chain
}

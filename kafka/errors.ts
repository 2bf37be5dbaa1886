/** What is inside the errors of kafkajs, which wraps them in one another. */

/** Kafka's name for what happened, if an error, or one that caused it, carries one. */
export function kafkaErrorType(error: unknown): string | undefined {
  return causeChain(error)
    .map((link) => link.type)
    .find((value): value is string => typeof value === 'string')
}

/** The message of the error that began it all. */
export function rootMessage(error: unknown): string {
  return causeChain(error).at(-1)?.message ?? String(error)
}

interface Link {
  name?: string
  message?: string
  type?: unknown
  code?: unknown
}

/** The error and what caused it, the outermost first; ends after ten, for a chain may be a circle. */
export function causeChain(error: unknown): Link[] {
  const chain: Link[] = []
  let link = error
  while (typeof link === 'object' && link !== null && chain.length < 10) {
    chain.push(link)
    link = (link as { cause?: unknown }).cause
  }
  return chain
}

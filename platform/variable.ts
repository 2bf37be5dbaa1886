import { readFileSync } from 'node:fs'
import { systemReason } from './system-reason.ts'

/** What the environment gives for one setting. */
export interface Given {
  /** Undefined if the setting is not set: an empty variable counts as unset. */
  text: string | undefined
  /** A sentence about a variable that is ignored. */
  warning?: string
}

/**
 * What Kubernetes sets in every container for a Service: SINK_PORT=tcp://10.0.0.9:8001 for one named `sink`. Nobody meant
 * the setting of this name.
 */
const SERVICE_LINK = /^(?:tcp|udp|sctp):\/\//

/**
 * Reads the variable `name`; for a secret, alternatively the file that `name`_FILE names, without the line breaks at its
 * end.
 *
 * @throws an Error with one sentence, which never holds the value of a secret
 */
export function readVariable(name: string, isSecret: boolean, env: NodeJS.ProcessEnv): Given {
  const text = env[name] || undefined
  const file = isSecret ? env[`${name}_FILE`] || undefined : undefined
  if (file !== undefined) {
    if (text !== undefined) throw new Error(`${name} and ${name}_FILE are both set: remove one of them`)
    return { text: readSecret(`${name}_FILE`, file) }
  }
  if (text !== undefined && isServiceLink(name, text)) {
    const warning = `${name} is ignored: "${text}" is what Kubernetes sets for a Service of that name`
    return { text: undefined, warning }
  }
  return { text }
}

/** Whether Kubernetes has set this variable for a Service, not a person. */
export function isServiceLink(name: string, text: string): boolean {
  return /(?:^|_)PORT$/.test(name) && SERVICE_LINK.test(text)
}

function readSecret(name: string, file: string): string {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    throw new Error(`${name} cannot be read: ${file}: ${systemReason(error)}`, { cause: error })
  }
  const value = text.replace(/[\r\n]+$/, '')
  if (value === '') throw new Error(`${name} is an empty file: ${file}`)
  return value
}

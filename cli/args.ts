import { parseArgs, type ParseArgsConfig } from 'node:util'

/** BSD sysexits.h: the command was used incorrectly. */
const EX_USAGE = 64

/** node:util's parseArgs; what it does not know ends the process with one sentence. */
export function parseArgsOrExit<T extends ParseArgsConfig>(config: T): ReturnType<typeof parseArgs<T>> {
  try {
    return parseArgs(config)
  } catch (error) {
    process.stderr.write(`${(error as Error).message.split(/\.\s/)[0]}. Try --help.\n`)
    process.exit(EX_USAGE)
  }
}

import { parseArgs, type ParseArgsConfig } from 'node:util'

/** BSD sysexits.h: the command was used incorrectly. */
const EX_USAGE = 64

/** parseArgs() of node:util; for an invalid command line, prints one sentence and exits with 64. */
export function parseArgsOrExit<T extends ParseArgsConfig>(config: T): ReturnType<typeof parseArgs<T>> {
  try {
    return parseArgs(config)
  } catch (error) {
    process.stderr.write(`${(error as Error).message.split(/\.\s/)[0]}. Try --help.\n`)
    process.exit(EX_USAGE)
  }
}

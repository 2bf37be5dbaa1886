import { execFile, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { installKafka } from '../../embedded/kafka-install.ts'
import { pythonWith } from './python.ts'

/* Programs in other languages, for tests with other people's clients. */

const RUN_LIMIT_MS = 60_000

/** Runs a program to its end. `missing` says why it cannot be run here. */
export type Program = { run: (args: string[], input?: string) => Promise<string> } | { missing: string }

/** A Python program of one file, with these packages. */
export async function pythonProgram(script: string, ...packages: string[]): Promise<Program> {
  try {
    const python = join(await pythonWith(...packages), 'python')
    return { run: async (args, input) => await run(python, [pathOf(script), ...args], input) }
  } catch (error) {
    return { missing: `${packages.join(', ')} cannot be installed: ${firstLine(error)}` }
  }
}

export const NO_COMPILER = 'this Java has no compiler (install a JDK)'

/** Whether this Java runs source files. */
export function runsSource(java: string): boolean {
  return spawnSync(java, ['--list-modules'], { encoding: 'utf8' }).stdout.includes('jdk.compiler')
}

/** A Java program of one source file, with the jars of the embedded Kafka. */
export async function javaProgram(script: string): Promise<Program> {
  const { java, jars } = await installKafka(() => {})
  if (!runsSource(java)) return { missing: NO_COMPILER }
  const classPath = jars.filter((jar) => !jar.includes('log4j-slf4j')).join(delimiter)
  return { run: async (args, input) => await run(java, ['-cp', classPath, pathOf(script), ...args], input) }
}

function pathOf(script: string): string {
  const path = fileURLToPath(new URL(`../compatibility/clients/${script}`, import.meta.url))
  if (!existsSync(path)) throw new Error(`there is no ${path}`)
  return path
}

/** @throws with what the program wrote, unless it exits with 0 */
async function run(command: string, args: string[], input = ''): Promise<string> {
  const running = promisify(execFile)(command, args, { timeout: RUN_LIMIT_MS, maxBuffer: 16 * 1024 * 1024 })
  running.child.stdin?.on('error', () => {}) // the exit code says why it does not read
  running.child.stdin?.end(input)
  return (await running).stdout
}

function firstLine(error: unknown): string {
  return String((error as { stderr?: string }).stderr || error).split('\n', 1)[0] ?? ''
}
